#!/bin/sh
# A notification by ntfy (notify.exec). The address of the topic is in a file
# with mode 0600, in the form of curl's -K: url = "https://ntfy.example/topic"
#
#   [notify.exec]
#   command = ["/etc/rollover/hooks/notify-ntfy.sh", "/etc/rollover/ntfy.curl"]
case $ROLLOVER_EVENT in
blocked | check-failed) priority=high ;;
*) priority=default ;;
esac
printf '%s\n%s\n' "$ROLLOVER_TEXT" "$ROLLOVER_COMMAND" | curl --silent --show-error --fail --max-time 8 --config "$1" --output /dev/null \
  --header "Title: $ROLLOVER_ZONE $ROLLOVER_EVENT" --header "Priority: $priority" --data-binary @-
