#!/bin/sh
# A driver for a parent zone in Google Cloud DNS (driver = "exec"), by the gcloud
# command line tool of the user that runs rollover. The argument is the name of
# the managed zone.
#
#   exec.command = ["/etc/rollover/hooks/cloud-dns.sh", "my-parent-zone"]
set -u
set_of() { gcloud dns record-sets "$@" "$ROLLOVER_ZONE" --type=DS --zone="$zone" --quiet; }
zone=$1
data=$(printf '%s' "$ROLLOVER_DS_SET" | tr '\n' ',')
if set_of describe >/dev/null 2>&1; then
  set_of update --ttl=3600 --rrdatas="$data" >/dev/null || exit 1
else
  set_of create --ttl=3600 --rrdatas="$data" >/dev/null || exit 1
fi
echo "changed in Cloud DNS zone $zone"
