#!/usr/bin/env bash
# Upstream's test/cmd in its own shell: conformance/testcmd says where everything is. Building, etcd and the API server are
# there already. TESTCMD_GROUPS limits the groups; TESTCMD_OUT takes groups.tsv and an output file a group.
cd "${KUBE_ROOT:?}" || exit 2
export GO111MODULE=on
# shellcheck disable=SC1091
source hack/lib/init.sh
# shellcheck disable=SC1091
source hack/lib/test.sh
# shellcheck disable=SC1091
source test/cmd/legacy-script.sh
make() { :; }
kube::etcd::start() { :; }
kube::etcd::cleanup() { :; }
kube::golang::setup_env() { :; }
export KUBE_JUNIT_REPORT_DIR=${TESTCMD_OUT:?}/junit
mkdir -p "$KUBE_JUNIT_REPORT_DIR"

# The end of what a group printed, on one line, without colours, call trees and the recorder's own words.
last_words() { # LOG
  sed -E 's/\x1b(\[[0-9;]*m|\(B)//g' "$1" | grep -avE '^(!!!|\+\+\+|Error when running|[[:space:]]*$)' | tail -n 4 | tr '\t\n' '  ' | cut -c1-300
}

# Their recorder, with an account of our own around it.
eval "upstream_$(declare -f record_command)"
record_command() {
  local group=${1#run_} began=$SECONDS before=${foundError:-} verdict=passed reason="" log
  [[ $1 =~ ${TESTCMD_GROUPS:-} ]] || return 0
  log=$TESTCMD_OUT/$group.log
  upstream_record_command "$@" >"$log" 2>&1
  if [[ ${foundError:-} != "$before" ]]; then
    verdict=failed
    reason=$(last_words "$log")
  fi
  printf '%s\t%s\t%d\t%s\n' "$group" "$verdict" "$((SECONDS - began))" "$reason" >>"$TESTCMD_OUT/groups.tsv"
  echo "$verdict $group"
}

setup
kubectl create -f - <<'N'
{"kind": "Node", "apiVersion": "v1", "metadata": {"name": "127.0.0.1", "annotations": {"save-managers": "true"}}, "status": {"capacity": {"memory": "1Gi"}}}
N
export SUPPORTED_RESOURCES=("*")
runTests
