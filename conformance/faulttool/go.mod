// The program behind conformance/faults. A module of its own: nothing of Kubernetes
// is linked into it, so that it builds in seconds and shares no code, and no bug,
// with what it checks.
module krab.dev/conformance/faulttool

go 1.26.0

require github.com/anishathalye/porcupine v1.3.1
