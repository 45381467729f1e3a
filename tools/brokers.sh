#!/bin/sh
# Brings RabbitMQ (from Debian, unpacked without an installation or a service) and aedes (from npm)
# into a folder, for `make test-brokers`.
set -eu
into=$(mkdir -p "$1" && cd "$1" && pwd)
here=$(cd "$(dirname "$0")/.." && pwd)

cp "$here/tests/brokers/package.json" "$here/tests/brokers/package-lock.json" "$into"
npm ci --prefix "$into" --silent --no-audit --no-fund

[ -e "$into/rabbitmq/ready" ] && exit 0
rm -rf "$into/rabbitmq" && mkdir -p "$into/rabbitmq/packages"
cd "$into/rabbitmq/packages"
apt-get download -qq -o APT::Sandbox::User=root rabbitmq-server $(for part in \
	asn1 base crypto eldap inets mnesia os-mon parsetools public-key runtime-tools ssl syntax-tools tools xmerl; do
	echo "erlang-$part"
done)
for package in *.deb; do dpkg-deb -x "$package" ..; done
# Erlang's starter holds the folder that it is installed to.
sed -i "s#ROOTDIR=/usr/lib/erlang#ROOTDIR=$into/rabbitmq/usr/lib/erlang#" \
	../usr/lib/erlang/bin/erl ../usr/lib/erlang/erts-*/bin/erl
touch ../ready
