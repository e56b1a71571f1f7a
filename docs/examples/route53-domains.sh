#!/bin/sh
# A driver for domains registered with Amazon Route 53 (driver = "exec"), by the
# aws command line tool, which keeps its credentials in ~/.aws of the user that
# runs rollover. Route 53 computes the DS itself, so it is given the DNSKEY.
#
#   exec.command = ["/etc/rollover/hooks/route53-domains.sh"]
set -u
zone=${ROLLOVER_ZONE%.}
r53() { aws route53domains "$@" --region us-east-1 --domain-name "$zone" --output text; }
keys=$(r53 get-domain-detail --query 'DnssecKeys[].[Id,PublicKey]') || exit 75

# each runs a function for every line of a list.
each() {
  printf '%s\n' "$2" | while read -r flags _ algorithm key; do
    [ -z "$flags" ] || "$1" "$flags" "$algorithm" "$(printf %s "$key" | tr -d ' ')" || exit 1
  done
}
id_of() { printf '%s\n' "$keys" | awk -v key="$1" '$2 == key { print $1 }'; }
add() {
  [ -n "$(id_of "$3")" ] || r53 associate-delegation-signer-to-domain \
    --signing-attributes "{\"Flags\": $1, \"Algorithm\": $2, \"PublicKey\": \"$3\"}" >/dev/null
}
remove() {
  id=$(id_of "$3")
  [ -z "$id" ] || r53 disassociate-delegation-signer-from-domain --id "$id" >/dev/null
}

each add "$ROLLOVER_DNSKEY_ADD" || exit 1
each remove "$ROLLOVER_DNSKEY_REMOVE" || exit 1
echo "changed at Route 53"
