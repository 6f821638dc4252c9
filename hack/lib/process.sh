# shellcheck shell=bash
# Daemons that outlive the script that starts them: started, known again, waited for, stopped. Sourced, never run.
# The caller sets `dir`, the folder whose run/ holds their ids and whose log/ holds their output.

# start_time PID: when the process began, in ticks since boot. Together with its id it names a process for ever: an id that
# another process uses by now is never taken for ours.
start_time() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
  stat=${stat##*) }
  cut -d' ' -f20 <<<"$stat"
}

# pid_of NAME: the id of a daemon that runs; fails when it does not.
pid_of() {
  local pid started
  [[ -f ${dir:?}/run/$1.pid ]] || return 1
  read -r pid started <"$dir/run/$1.pid" || return 1
  [[ $(start_time "$pid") == "$started" ]] || return 1
  echo "$pid"
}

# running NAME: whether it does.
running() { pid_of "$1" >/dev/null; }

# launch NAME COMMAND...: starts a daemon.
launch() {
  local name=$1 pid
  shift
  setsid "$@" >"${dir:?}/log/$name.log" 2>&1 </dev/null &
  pid=$!
  echo "$pid $(start_time "$pid")" >"$dir/run/$name.pid"
}

# stop NAME: asks the daemon to end, makes it end after 15 seconds.
stop() {
  local pid _
  if pid=$(pid_of "$1"); then
    kill -TERM "$pid" 2>/dev/null || true
    for _ in {1..150}; do
      running "$1" || break
      sleep 0.1
    done
    ! running "$1" || kill -KILL "$pid" 2>/dev/null || true
  fi
  rm -f "${dir:?}/run/$1.pid"
}

# await NAME COMMAND...: until the command succeeds. Fails, saying why, when the daemon ends first or a minute is over.
await() {
  local name=$1 log=${dir:?}/log/$1.log _
  shift
  for _ in {1..600}; do
    ! "$@" >/dev/null 2>&1 || return 0
    if ! running "$name"; then
      tail -n 5 "$log" >&2
      echo "error: $name ended; its log is $log" >&2
      return 1
    fi
    sleep 0.1
  done
  echo "error: $name is not ready after a minute; its log is $log" >&2
  return 1
}
