#!/bin/sh
# Judges servers as openssl s_client does: its exit status says whether the handshake and the verification succeeded.
while read -r id port ca name; do
  case $name in
    127.0.0.1) verify="-verify_ip $name" ;;
    *) verify="-verify_hostname $name -servername $name" ;;
  esac
  # shellcheck disable=SC2086
  if out=$(timeout 8 openssl s_client -starttls postgres -connect "127.0.0.1:$port" $verify -CAfile "$ca" -verify_return_error -brief </dev/null 2>&1); then
    printf '%s\tconnects\t""\n' "$id"
  else
    printf '%s\tfails\t"%s"\n' "$id" "$(printf %s "$out" | tr '\n"\\\t' " '/ " | cut -c1-500)"
  fi
done
