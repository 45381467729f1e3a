#!/bin/bash
# Install, upgrade, way back and uninstall of the built program under a real systemd with every
# protection of the unit: a Debian whose systemd is PID 1 of a namespace of its own.
#
#   tools/booted.sh CENTRAL      (`make test-systemd`; needs root and debootstrap)
#
# CENTRAL is a trainer's workspace with a published depot, such as the demo leaves.
set -euo pipefail
cd "$(dirname "$0")/.."
central=$(realpath "${1:?name a trainer workspace with a depot}")
root=${BOOTED_ROOT:-/var/tmp/farm-edge-booted}
mirror=${DEBIAN_MIRROR:-$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources 2>/dev/null | head -1)}

say() { printf '\n== %s\n' "$*"; }
fail() { printf 'FAILED: %s\n' "$*" >&2; inside journalctl --no-pager -u edge-agent | tail -30 >&2; exit 1; }
inside() { nsenter --target "$pid" --mount --pid --ipc --uts --cgroup --root --wd=/ "$@"; }
is() { [ "$1" = "$2" ] || fail "$3: $1, not $2"; }
state() { inside systemctl show edge-agent --property="$1" --value; }
until_ready() { for _ in $(seq 240); do [ "$(state ActiveState)" = active ] && return; sleep 0.5; done; fail "not ready"; }

[ -x "$root/lib/systemd/systemd" ] || {
	say "a Debian"
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,mosquitto bookworm "$root" "$mirror" > "$root.log"
}
rm -rf "$root"/{opt,etc,var/lib,usr/local/bin}/edge-agent "$root/srv"/*
cp -r dist/edge-agent dist/edge-agent-tree "$root/srv/"
cp -r "$central/depot" "$central/root.json" "$root/srv/"

say "boot"
unshare --mount --pid --fork --ipc --uts --cgroup --propagation private bash -ec '
	cd "$0"
	mount --bind . . && cd "$0"
	mount -t proc proc proc; mount -t sysfs sysfs sys; mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs -o mode=755 tmpfs run; mount -t tmpfs tmpfs tmp; mount -t tmpfs -o mode=755 tmpfs dev
	mkdir dev/pts dev/shm; mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts; ln -s pts/ptmx dev/ptmx
	for name in null zero full random urandom tty; do touch dev/$name; mount --bind /dev/$name dev/$name; done
	ln -s /proc/self/fd dev/fd; touch dev/console
	pivot_root . mnt; umount -l /mnt
	exec env -i container=other PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd
' "$root" < /dev/null > /dev/null 2>&1 &
outer=$!
trap 'kill -KILL "$pid" 2>/dev/null || true; kill -KILL $outer 2>/dev/null || true' EXIT
pid=
for _ in $(seq 60); do
	pid=$(pgrep --parent $outer --exact systemd || true)
	[ -n "$pid" ] && inside systemctl is-system-running > /dev/null 2>&1 && break
	[ -n "$pid" ] && case "$(inside systemctl is-system-running 2>/dev/null)" in degraded) break ;; esac
	sleep 0.5
done
inside systemctl --version | head -1

say "first install, by the single file; nothing to forecast with yet"
inside /srv/edge-agent install
is "$(state ActiveState)" activating "after the first install"
is "$(inside systemctl is-enabled edge-agent)" enabled "at boot"

say "a release from a stick, brought in by root; files stay the service's"
inside sed -i -e '0,/^#path = ""/s||path = "/srv/depot"|' \
	-e 's|^#root_file = ""|root_file = "/srv/root.json"|' /etc/edge-agent/config.toml
inside edge-agent check-config --quiet
inside edge-agent sync --from /srv/depot
is "$(inside find /var/lib/edge-agent -not -user edge-agent | wc -l)" 0 "files of another owner"
inside systemctl reload edge-agent || inside systemctl restart --no-block edge-agent
until_ready
main=$(state MainPID)
say "ready under its protections"
inside grep -E '^(Uid|NoNewPrivs|Seccomp|CapEff):?' "/proc/$main/status"
is "$(inside grep -c 'Seccomp:.2' "/proc/$main/status")" 1 "system call filter"
sleep 5
inside journalctl --no-pager -u edge-agent -o cat | grep -m1 ' cycle: ' || fail "no cycle was worked"

say "upgrade to a build whose service cannot start: back by itself"
cp -r "$root/srv/edge-agent-tree" "$root/srv/broken"
printf 'raise SystemExit(3)\n' > "$root/srv/broken.py"
.venv/bin/python -m compileall -q -b "$root/srv/broken.py" > /dev/null
mv "$root/srv/broken.pyc" "$root/srv/broken/_internal/edge_agent/core/loop.pyc"
before=$(inside readlink /opt/edge-agent/current)
code=0; inside /srv/broken/edge-agent install || code=$?
is "$code" 69 "exit of a failed upgrade"
is "$(inside readlink /opt/edge-agent/current)" "$before" "version after it"
is "$(state ActiveState)" active "service after it"

say "kill -9 during an install, and install again"
printf '# another\n' >> "$root/srv/edge-agent-tree/_internal/config.example.toml"
inside timeout --signal=KILL 2 /srv/edge-agent-tree/edge-agent install || true
is "$(inside readlink /opt/edge-agent/current)" "$before" "version after a kill"
inside /srv/edge-agent-tree/edge-agent install
is "$(state ActiveState)" active "service after it"
[ "$(inside readlink /opt/edge-agent/current)" != "$before" ] || fail "not upgraded"

say "uninstall"
inside edge-agent uninstall
inside test -f /etc/edge-agent/config.toml -a -d /var/lib/edge-agent || fail "uninstall took too much"
inside /srv/edge-agent uninstall --purge
is "$(inside find / -xdev -name '*edge-agent*' -not -path '/srv/*' -not -path '/proc/*' | wc -l)" 0 "files left"
is "$(inside getent passwd edge-agent | wc -l)" 0 "account left"
say "all good"
