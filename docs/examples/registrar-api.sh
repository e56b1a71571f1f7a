#!/bin/sh
# A driver for a registrar with a web interface that takes JSON (driver = "exec").
#
#   [ds]
#   driver = "exec"
#   exec.command = ["/etc/rollover/hooks/registrar-api.sh", "/etc/rollover/registrar.curl", "https://api.registrar.example/v1"]
#
# The token is in the first file, mode 0600, in the form of curl's -K, so that
# it is in no argument list and in no environment:
#   header = "Authorization: Bearer TOKEN"
#
# This sends the JSON that rollover gives as it is; put a jq between if your
# registrar wants another form: jq '{records: [.set[].ds]}'
set -u
answer=$(mktemp) || exit 75
trap 'rm -f "$answer"' EXIT
code=$(curl --silent --show-error --max-time 45 --config "$1" --output "$answer" --write-out '%{http_code}' \
  --request PUT --header 'Content-Type: application/json' --header "Idempotency-Key: $ROLLOVER_IDEMPOTENCY_KEY" \
  --data-binary @- "$2/domains/${ROLLOVER_ZONE%.}/ds") || exit 75
case $code in
2??) echo "the registrar answers $code" ;;
408 | 425 | 429 | 5??)
  echo "the registrar answers $code, later"
  exit 75
  ;;
*)
  echo "the registrar answers $code: $(head -c 200 "$answer" | tr -c '[:print:]' ' ')" >&2
  exit 1
  ;;
esac
