# Runs in the machine of vmsystemd.sh, beside edged as a service: what docs/service.md says
# of it is so. Says "check: all of it" in the end.
set -eu

fail() {
	echo "check: FAILED: $*"
	systemctl status edged --no-pager -n 0 || :
	journalctl -u edged --no-pager -n 50 -o cat || :
	edged status || :
	systemctl poweroff -f
	exit 1
}
show() { systemctl show edged -p "$1" --value; }
until_() { # until_ SECONDS WHAT COMMAND...
	left=$(($1 * 5)) what=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		left=$((left - 1))
		[ $left -gt 0 ] || fail "$what: $*"
		sleep 0.2
	done
	echo "check: $what"
}
active() { [ "$(show ActiveState)" = active ]; }
live() { edged status -json | grep -q '"state":"live"'; }
told() { edged log -json -since 5m | grep -q '"type":"caption"'; }
restarted() { [ "$(show NRestarts)" = "$1" ] && active; }
# logged PATTERN: edged has said that since it was started.
logged() { journalctl -u edged -o cat --no-pager "_SYSTEMD_INVOCATION_ID=$(show InvocationID)" | grep -q "$1"; }
status() { edged status | grep -q "$1"; } # status PATTERN: that is how edged is
frames() { edged status -json | busybox awk 'match($0, /"frames":[0-9]+/) { print substr($0, RSTART + 9, RLENGTH - 9) }'; }
watched() { [ "$(frames)" -gt "$1" ]; }
ours() { [ -z "$(busybox find /var/lib/edged ! -user edged)" ] || fail "not of the user edged: $(busybox find /var/lib/edged ! -user edged)"; }
now() { cut -d ' ' -f 1 /proc/uptime; }

until_ 60 "ready: $(show Type), $(show NotifyAccess)" active
until_ 60 'its camera is live, a device of the kernel that only the group video has' live
until_ 60 'captions flow' told
until_ 30 'it says how it is' sh -c 'systemctl show edged -p StatusText --value | grep -q "1 of 1 camera live"'
pid=$(show MainPID)
status=$(cat /proc/$pid/status)
for want in 'NoNewPrivs:.1' 'CapEff:.0000000000000000' 'CapBnd:.0000000000000000' 'Seccomp:.2'; do
	echo "$status" | grep -q "$want" || fail "restricted: $want"
done
echo "$status" | grep '^Uid' | grep -qv '[[:space:]]0[[:space:]]' || fail 'it is root'
ls -l /dev/video0 | grep -q 'root *video' || fail 'the camera is for everybody'
echo "check: it runs as $(stat -c %U /proc/$pid), without capabilities, with a filter"

# Other devices are not for whoever is in its control group, cameras are; what the kernel says
# of temperatures can be read.
in_group() { sh -c "echo \$\$ >/sys/fs/cgroup$(show ControlGroup)/cgroup.procs && $1"; }
in_group ': </dev/video0' || fail 'cameras are forbidden'
if in_group ': </dev/kmsg' 2>/dev/null; then fail 'other devices are allowed'; fi
nsenter -t "$pid" -m ls /sys/class/thermal /sys/class/video4linux >/dev/null || fail 'temperatures cannot be read'
if nsenter -t "$pid" -m sh -c ': >/etc/x' 2>/dev/null; then fail 'it can write to /etc'; fi
nsenter -t "$pid" -m sh -c ': >/var/lib/edged/x && rm /var/lib/edged/x' || fail 'it cannot write its state'
echo 'check: cameras and state it has, nothing else'

fed=$(show WatchdogTimestampMonotonic)
until_ 30 'the watchdog is fed' sh -c "[ \"\$(systemctl show edged -p WatchdogTimestampMonotonic --value)\" -gt $fed ]"

systemctl reload edged || fail 'reload'
until_ 10 'read again' logged 'the configuration was read again: 1 scene, of which 0 began anew'

until_ 10 'its plugin is interpreted, as code cannot be made' logged 'plugins are run by the interpreter (auto: '
until_ 30 'the plugin runs' status '^  plugin seen: running, may on_frame, on_caption; [1-9][0-9]* calls of .* 0 failed'
until_ 30 'it has tagged a caption' sh -c 'edged log -json -since 5m | grep -q "\"tags\":\[\"seen\"\]"'

# A bundle that root alone can read: its model, plugin and defaults beside what runs, and one
# whose model is damaged.
install() { edged fw install -quiet "/root/garden-$1.fw" >/dev/null || fail "version $1 is not installed"; ours; systemctl reload edged || fail reload; }
delivered() {
	until_ 60 'the bundle runs' status '^bundle garden version 1, slot a$'
	until_ 60 'its plugin runs' status '^  plugin delivered: running, may on_caption; [1-9][0-9]* calls of .* 0 failed'
	edged fw status | grep -q '^slot a runs: garden version 1$' || fail "$(edged fw status)"
}
install 1
until_ 120 'a bundle is tried and kept' logged 'garden version 1, slot a proved itself'
delivered
edged fw status | grep -q '^slot a  good  garden version 1$' || fail "$(edged fw status)"
install 2
until_ 120 'one that is damaged is given up' logged 'garden version 2, slot b is given up: '
edged fw status | grep -q '^slot b  bad   garden version 2  .*demo.gguf: ' || fail "$(edged fw status)"
delivered
until_ 30 'it watches on' watched "$(frames)"
[ "$(show MainPID)" = "$pid" ] || fail 'it was started again'
n=$(journalctl -u edged -o cat --no-pager | grep -c 'room: door: live')
[ "$n" = 1 ] || fail "its camera was opened $n times"
ours

kill -9 "$pid"
until_ 60 'killed, and started again' restarted 1
until_ 60 'its camera is live again' live
until_ 10 'it says what happened' status 'did not end by itself'
delivered

kill -STOP "$(show MainPID)"
until_ 120 'frozen, ended by the watchdog, and started again' restarted 2
until_ 60 'its camera is live again' live
grep -l SIGABRT /var/lib/edged/crash/* >/dev/null || fail 'no crash report'
echo 'check: a crash report says where it was frozen'

before=$(now)
systemctl stop edged
after=$(now)
echo "check: stopped in $(echo "$after $before" | busybox awk '{print $1 - $2}') s"
echo "$after $before" | busybox awk '{exit !($1 - $2 < 2)}' || fail 'it took too long to stop'
[ "$(show Result)" = success ] || fail "it ended with $(show Result)"
[ "$(show NRestarts)" = 2 ] || fail 'it was started again'
edged log -state /var/lib/edged -n 1 || fail 'the log cannot be read without it'
printf '[Service]\nMemoryDenyWriteExecute=no\n' >/etc/systemd/system/edged.service.d/plugins.conf
systemctl daemon-reload
systemctl start edged || fail start
until_ 60 'started again, with its memory' logged 'room: goes on with the memory'
until_ 10 'its plugins are compiled where that is allowed' logged 'plugins are run by the compiler (auto)'
delivered
ls /var/lib/edged/wasm/* >/dev/null || fail 'what was compiled is not kept'
echo 'check: all of it'
systemctl poweroff -f
