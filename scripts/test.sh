#!/bin/sh
# test.sh COMMAND...: a "go test" that, where something fails, says in the end once more what,
# after all that passed: of a long log people look at the end, and continuous integration may
# show no more.
out=$(mktemp -d) || exit
trap 'rm -rf "$out"' EXIT
trap 'exit 130' INT TERM
{ "$@" 2>&1; echo $? >"$out/status"; } | tee "$out/log"
status=$(cat "$out/status")
[ "$status" = 0 ] && exit
# Of each package that passed there is a line, of others all that their tests said. Of a dump of
# all goroutines the beginning tells most.
grep -vE '^(ok  |\?   |=== )' "$out/log" >"$out/failed"
echo "test.sh: FAILED: $*"
if [ "$(wc -l <"$out/failed")" -gt 600 ]; then
	head -n 300 "$out/failed"
	echo "test.sh: ..."
	tail -n 300 "$out/failed"
else
	cat "$out/failed"
fi
awk '/^ *--- FAIL: |^panic: |^FAIL\t|^\t.* \([0-9.msh]+\)$/' "$out/failed" >"$out/names"
echo "test.sh: these failed:"
head -n 50 "$out/names"
exit "$status"
