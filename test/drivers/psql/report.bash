# What the shell programs of the driver matrix share: libpq's variables from ours, and a line of JSON per check.

export PGHOST=$DRIVER_HOST PGPORT=$DRIVER_PORT PGUSER=$DRIVER_USER PGPASSWORD=$DRIVER_PASSWORD PGDATABASE=$DRIVER_DATABASE
export PGCONNECT_TIMEOUT=30 PGSSLMODE=disable PGCLIENTENCODING=UTF8
if [ -n "$DRIVER_CA_FILE" ]; then
  export PGSSLMODE=verify-full PGSSLROOTCERT=$DRIVER_CA_FILE
fi

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# quoted prints its argument as a JSON string.
quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "$(tr '[:cntrl:]' ' ' <<<"$text" | sed 's/ *$//')"
}

line() { printf '{"check": %s, "ok": %s, "note": %s}\n' "$(quoted "$1")" "$2" "$(quoted "$3")"; }

# check runs a command in a shell of its own; a passed check may leave a note in $folder/note.
check() {
  local out
  rm -f "$folder/note"
  out=$(set -e; "${@:2}" 2>&1)
  # Not "if out=…": that would turn set -e off inside.
  if [ $? = 0 ]; then
    line "$1" true "$(cat "$folder/note" 2>/dev/null)"
  else
    line "$1" false "$out"
  fi
}

limit() { line "$1" null "$2"; }

note() { printf '%s' "$1" >"$folder/note"; }

# equal GOT WANT
equal() {
  [ "$1" = "$2" ] || { printf 'got %.200s, want %.100s' "$1" "$2"; return 1; }
}

# contains TEXT WORDS
contains() {
  case $1 in
    *"$2"*) ;;
    *) printf 'no "%s" in: %.300s' "$2" "$1"; return 1 ;;
  esac
}

# ask SQL: in a connection of its own.
ask() { "$DRIVER_PSQL" -XAtqw -v ON_ERROR_STOP=1 -c "$1"; }

# await_restart says that this program is ready for a restart of its server, and returns when that is over.
await_restart() {
  printf '{"waiting": "restart"}\n'
  read -r _
}
