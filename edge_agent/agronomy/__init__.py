"""From weather to what plants feel: moist air, evaporation, soil water, crops. Pure."""
