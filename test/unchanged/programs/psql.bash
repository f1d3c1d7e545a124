#!/usr/bin/env bash
# Logs in by each URL with psql, and uses the session. Prints a line for each: "works", or what failed.
set -uo pipefail

ask() { "$PSQL" -XAtqw -v ON_ERROR_STOP=1 "$@" 2>&1; }

works() {
  local url=$1 out pid asleep='' mark=$$-$RANDOM
  out=$(ask "$url" <<<'CREATE TEMP TABLE kept (n int); BEGIN; INSERT INTO kept VALUES (1); COMMIT;
    BEGIN; INSERT INTO kept VALUES (2); ROLLBACK; SELECT count(*) FROM kept;') || { echo "$out"; return; }
  [ "$out" = 1 ] || { echo "transaction: $out rows"; return; }
  coproc "$PSQL" -XAtqw -c "SELECT pg_sleep(30) /* $mark */" "$url" 2>&1
  pid=$COPROC_PID
  exec 3<&"${COPROC[0]}"
  for _ in $(seq 300); do
    asleep=$(ask -c "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND query LIKE '%$mark%'" "$url")
    [ -z "$asleep" ] || break
  done
  kill -INT "$pid" # as Ctrl-C does
  out=$(cat <&3)
  case $out in
    *'canceling statement due to user request'*) echo works ;;
    *) echo "cancel: $out" ;;
  esac
}

[ $# -gt 0 ] || set -- "$DATABASE_URL"
for url in "$@"; do
  works "$url" | tr '\n' ' ' | sed 's/ *$//'
  echo
done
