#!/bin/sh
# Judges servers as libpq does.
while read -r id port ca name; do
  security="sslmode=verify-full sslrootcert=$ca"
  [ "$ca" != - ] || security="sslmode=disable"
  if out=$(timeout 10 psql "host=$name hostaddr=127.0.0.1 port=$port user=app dbname=app connect_timeout=8 $security" -Xc '' 2>&1); then
    printf '%s\tconnects\t""\n' "$id"
  else
    printf '%s\tfails\t"%s"\n' "$id" "$(printf %s "$out" | tr '\n"\\\t' " '/ " | cut -c1-500)"
  fi
done
