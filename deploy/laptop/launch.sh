#!/bin/sh
# launch.sh <record file> <name> <command> [argument…]
# Writes who this process is (pid and start time), then becomes the command. The record exists before the command's
# first instruction, so a supervisor killed at any moment never leaves a process that nobody knows of.
record=$1
name=$2
shift 2
if [ -r "/proc/$$/stat" ]; then
  IFS= read -r stat <"/proc/$$/stat"
  # Field 22 of proc(5) stat; the text after the last ")" begins with field 3.
  started=$(
    set -- ${stat##*) }
    shift 19
    printf '%s' "$1"
  )
else
  started=$(LC_ALL=C TZ=UTC ps -o lstart= -p $$ | sed 's/^ *//; s/ *$//')
fi
umask 077
printf '{"name":"%s","pid":%s,"start_time":"%s"}\n' "$name" "$$" "$started" >"$record.new" && mv "$record.new" "$record" || exit 126
umask 022
exec "$@"
