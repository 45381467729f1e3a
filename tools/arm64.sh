#!/bin/sh
# Build the agent for 64-bit Arm in an emulated Debian, and let it work there: self-test, one cycle.
#
#   tools/arm64.sh STATE      (`make arm64`; needs root, qemu-user-static and debootstrap)
#
# STATE is a state folder with a release, such as one that `edge-agent sync` filled; it is copied.
# What is left in build/arm64: dist/edge-agent and dist/edge-agent-tree for Arm.
set -eu
cd "$(dirname "$0")/.."
state=${1:?name a state folder with a release}
# Outside the project: its /proc must not be walked by tools that look through the sources.
root=${ARM64_ROOT:-/var/tmp/farm-edge-arm64}
python=.venv/bin/python
handler=/proc/sys/fs/binfmt_misc

say() { printf '\n== %s\n' "$*"; }

say "every dependency has a wheel for aarch64 (hashes of the one lock)"
mkdir -p build/arm64/wheels
$python tools/base_lock.py requirements.lock > build/base.lock
$python -m pip download --quiet --disable-pip-version-check --require-hashes --no-deps \
	--only-binary=:all: --python-version 3.11 --dest build/arm64/wheels \
	--platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
	--platform manylinux_2_26_aarch64 --platform manylinux_2_17_aarch64 \
	--platform manylinux2014_aarch64 -r build/base.lock
ls build/arm64/wheels | wc -l

say "programs for Arm run here, through qemu"
[ -e $handler/register ] || mount -t binfmt_misc binfmt_misc $handler
[ -e $handler/qemu-aarch64 ] || cat /usr/lib/binfmt.d/qemu-aarch64.conf > $handler/register

if [ ! -x $root/usr/bin/python3 ]; then
	say "a Debian for Arm"
	# Unset, it is debootstrap's own choice.
	: "${DEBIAN_MIRROR=}"
	debootstrap --arch=arm64 --variant=minbase \
		--include=python3,python3-venv,libpython3.11,binutils bookworm $root $DEBIAN_MIRROR > build/arm64/debootstrap.log
fi

say "build"
rm -rf $root/work && mkdir -p $root/work/state
cp -r build/arm64/wheels build/base.lock build.spec config.example.toml edge_agent deploy $root/work/
cp -r "$state/." $root/work/state/
cat > $root/work/config.toml <<'END'
[storage]
path = "state"
[web]
port = 0
[mqtt]
host = "localhost"
END
mkdir -p $root/proc && mountpoint -q $root/proc || mount -t proc proc $root/proc
trap 'umount -l "$root/proc"' EXIT
inside() { chroot $root /bin/sh -ec "cd /work; $*"; }
inside 'uname -m; python3 -m venv venv
	venv/bin/pip install --quiet --disable-pip-version-check --no-index --find-links wheels \
		--require-hashes -r base.lock
	venv/bin/pyinstaller --noconfirm --log-level WARN build.spec'

say "work: self-test, and the cycle of the newest hour that STATE observed"
hour=$($python -c 'import sqlite3, sys, datetime as d
(newest,) = sqlite3.connect(sys.argv[1]).execute("SELECT max(time) FROM observations").fetchone()
print(d.datetime.fromtimestamp(newest, d.UTC).isoformat())' "$root/work/state/agent.db")
inside "dist/edge-agent-tree/edge-agent --version
	dist/edge-agent-tree/edge-agent self-test --config config.toml
	dist/edge-agent-tree/edge-agent once --at $hour --dry-run --config config.toml
	dist/edge-agent --version"
rm -rf build/arm64/dist && cp -r $root/work/dist build/arm64/dist
ls -l build/arm64/dist
