#!/usr/bin/env bash
# Bootstrap action of Amazon EMR on EC2: verifies, installs and starts Sidelight on this node.
#
# usage: bootstrap.sh --artifact s3://BUCKET/sidelight-VERSION-x86_64-linux.tar.gz --sha256 HEX
#                     [--config s3://BUCKET/sidelight.toml] [--strict]
#
# A node must not die for want of its log shipper: whatever goes wrong is said in the log of the bootstrap
# action, and the exit code is 0. --strict makes it 1. Nothing of EMR is changed, and all waits are bounded;
# the agent waits by itself for folders that appear when applications are installed.
set -euo pipefail

# Tests install into a folder.
ROOT=${INSTALL_ROOT:-}
FETCH_SECONDS_MAX=60

say() { echo "sidelight bootstrap: $*" >&2; }

# field FILE KEY: the value of a key in a small JSON file; nothing where there is none.
field() {
  sed -n "s/.*\"$2\"[[:space:]]*:[[:space:]]*\"\{0,1\}\([A-Za-z0-9_.-]*\).*/\1/p" "$1" 2>/dev/null | head -n 1
}

fetch() { # fetch URL FILE
  timeout "$FETCH_SECONDS_MAX" aws s3 cp --only-show-errors "$1" "$2" </dev/null
}

# Which cluster, and which kind of node. Without an answer the agent runs all the same.
describe_node() {
  local info=$ROOT/mnt/var/lib/info node_type=worker
  [[ $(field "$info/instance.json" isMaster) == true ]] && node_type=primary
  echo "EMR_CLUSTER_ID=$(field "$info/job-flow.json" jobFlowId)"
  echo "EMR_NODE_TYPE=$node_type"
}

# put MODE SOURCE TARGET: in one step, also over an older one.
put() {
  sudo install -D -m "$1" "$2" "$3.new"
  sudo mv -f "$3.new" "$3"
}

install_all() {
  local work=$1 unit=$ROOT/etc/systemd/system/sidelight.service.d tree

  fetch "$artifact" "$work/sidelight.tar.gz"
  echo "$sha256  $work/sidelight.tar.gz" | sha256sum --check --quiet --strict -
  tar -xzf "$work/sidelight.tar.gz" -C "$work" --no-same-owner
  tree=$(echo "$work"/sidelight-*-linux)
  if [[ -n $config ]]; then
    fetch "$config" "$work/sidelight.toml"
  else
    cp "$tree/usr/share/sidelight/emr/sidelight.toml" "$work/sidelight.toml"
  fi
  describe_node >"$work/environment"
  # All problems at once, before anything is installed.
  # shellcheck source=/dev/null
  (set -a; source "$work/environment"; "$tree/usr/bin/sidelight" check "$work/sidelight.toml")

  sudo "$tree/install.sh" ${ROOT:+--root "$ROOT"}
  put 0644 "$work/sidelight.toml" "$ROOT/etc/sidelight/sidelight.toml"
  put 0644 "$work/environment" "$ROOT/etc/sidelight/environment"
  put 0644 "$tree/usr/share/sidelight/emr/read-logs.conf" "$unit/emr.conf"
  if (($(systemd_version) < 229)); then
    put 0644 "$tree/usr/share/sidelight/emr/amazon-linux-2.conf" "$unit/emr.conf"
    sudo chown root:root "$ROOT/var/lib/sidelight"
  fi
  put 0755 "$tree/usr/share/sidelight/emr/shutdown-action.sh" \
    "$ROOT/mnt/var/lib/instance-controller/public/shutdown-actions/sidelight.sh"
  sudo systemctl daemon-reload
  sudo systemctl enable sidelight
  sudo systemctl restart --no-block sidelight
  say "installed $("$tree/usr/bin/sidelight" --version) in $(tr '\n' ' ' <"$work/environment")"
}

systemd_version() { systemctl --version 2>/dev/null | sed -n '1s/systemd \([0-9]*\).*/\1/p' | grep . || echo 229; }

artifact='' sha256='' config='' strict=0 problem=''
while (($#)); do
  case $1 in
    --strict) strict=1; shift; continue ;;
    --artifact) artifact=${2-} ;;
    --sha256) sha256=${2-} ;;
    --config) config=${2-} ;;
    *) problem="unknown argument $1"; break ;;
  esac
  [[ -n ${2-} ]] || problem="$1 wants a value"
  shift $(($# > 1 ? 2 : 1))
done
[[ -n $problem || (-n $artifact && -n $sha256) ]] || problem="--artifact and --sha256 are needed"

status=1
if [[ -n $problem ]]; then
  say "$problem"
else
  work=$(mktemp -d)
  # Not in a condition, where `set -e` does not count.
  set +e
  (set -e; install_all "$work")
  status=$?
  set -e
  rm -rf "$work"
fi
if ((status)); then
  say "not installed; this node runs without Sidelight"
  ((strict)) && exit 1
fi
exit 0
