#!/bin/sh
# dist/edge-agent_<version>_<architecture>.deb from the tree that `make binary` built: the same
# files and the same unit as `edge-agent install` puts in place, where Debian wants them.
set -eu
cd "$(dirname "$0")/.."
tree=dist/edge-agent-tree
version=$("$tree/edge-agent" --version | sed 's/.* //')
architecture=$(dpkg --print-architecture)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
chmod 755 "$stage"

install -d "$stage/DEBIAN" "$stage/usr/lib/systemd/system" "$stage/usr/lib/sysusers.d" \
	"$stage/usr/bin" "$stage/etc/edge-agent" "$stage/usr/share/doc/edge-agent"
cp -r --no-preserve=ownership "$tree" "$stage/usr/lib/edge-agent"
ln -s ../lib/edge-agent/edge-agent "$stage/usr/bin/edge-agent"
install -m 644 deploy/systemd/edge-agent.service "$stage/usr/lib/systemd/system/"
install -m 644 deploy/systemd/edge-agent.sysusers "$stage/usr/lib/sysusers.d/edge-agent.conf"
install -m 644 config.example.toml "$stage/etc/edge-agent/config.toml"
install -m 644 LICENSE "$stage/usr/share/doc/edge-agent/copyright"
install -m 644 CHANGELOG.md "$stage/usr/share/doc/edge-agent/"
find "$stage" -type d -exec chmod 755 {} +

cat > "$stage/DEBIAN/control" <<END
Package: edge-agent
Version: $version
Architecture: $architecture
Maintainer: farm-edge developers <farm-edge@localhost>
Installed-Size: $(du -sk "$stage/usr" | cut -f1)
Depends: libc6 (>= 2.28), systemd
Section: misc
Priority: optional
Description: weather forecasts, alerts and watering advice for one farm
 Forecasts temperature and humidity 48 hours ahead beside the valves, with or
 without a link, and publishes alerts and advice over MQTT.
END
echo /etc/edge-agent/config.toml > "$stage/DEBIAN/conffiles"
cat > "$stage/DEBIAN/postinst" <<'END'
#!/bin/sh
set -e
if [ "$1" = configure ]; then
	systemd-sysusers edge-agent.conf
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
		systemctl enable --quiet edge-agent.service
		systemctl stop edge-agent.service
		systemctl start --no-block edge-agent.service
	else
		systemctl enable --quiet edge-agent.service || true
	fi
fi
END
cat > "$stage/DEBIAN/prerm" <<'END'
#!/bin/sh
set -e
if [ "$1" = remove ]; then
	systemctl disable --now --quiet edge-agent.service || true
fi
END
cat > "$stage/DEBIAN/postrm" <<'END'
#!/bin/sh
set -e
[ -d /run/systemd/system ] && systemctl daemon-reload
if [ "$1" = purge ]; then
	rm -rf /etc/edge-agent /var/lib/edge-agent /var/cache/edge-agent
	userdel edge-agent 2>/dev/null || true
fi
exit 0
END
chmod 755 "$stage/DEBIAN/postinst" "$stage/DEBIAN/prerm" "$stage/DEBIAN/postrm"
dpkg-deb --root-owner-group -Zzstd -z9 --build "$stage" dist > /dev/null
ls -l dist/edge-agent_*.deb
