#!/bin/sh
# Judges servers as gnutls-cli does.
while read -r id port ca name; do
  if out=$(printf '' | timeout 8 gnutls-cli --starttls-proto=postgres --port="$port" --x509cafile="$ca" --verify-hostname="$name" --sni-hostname="$name" 127.0.0.1 2>&1); then
    printf '%s\tconnects\t""\n' "$id"
  else
    printf '%s\tfails\t"%s"\n' "$id" "$(printf %s "$out" | grep -E '^\*\*\*|^- Status|^\|<1>' | tr '\n"\\\t' " '/ " | cut -c1-500)"
  fi
done
