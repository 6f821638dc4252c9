package inject

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
)

// under runs a program with the library.
func under(t *testing.T, shim *Shim, name string, arguments ...string) (string, error) {
	t.Helper()
	command := exec.Command(name, arguments...)
	command.Env = append(os.Environ(), append(shim.Env(), "LD_PRELOAD="+shim.Library)...)
	output, err := command.CombinedOutput()
	return strings.TrimSpace(string(output)), err
}

func newShim(t *testing.T) *Shim {
	t.Helper()
	shim, err := NewShim(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return shim
}

func TestTheClockIsOffByWhatIsDemanded(t *testing.T) {
	shim := newShim(t)
	for _, offset := range []time.Duration{0, 100 * time.Hour, -100 * time.Hour} {
		if err := shim.Clock(offset); err != nil {
			t.Fatal(err)
		}
		text, err := under(t, shim, "date", "+%s")
		if err != nil {
			t.Fatal(err, text)
		}
		seconds, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		off := time.Until(time.Unix(seconds, 0)) - offset
		if off.Abs() > time.Hour {
			t.Errorf("demanded %v, and it is %v more", offset, off)
		}
	}
}

func TestSyncingFailsWhenDemandedAndIsCounted(t *testing.T) {
	shim := newShim(t)
	file := shim.Library
	if text, err := under(t, shim, "sync", file); err != nil {
		t.Fatal(err, text)
	}
	if err := shim.FailSync(true); err != nil {
		t.Fatal(err)
	}
	text, err := under(t, shim, "sync", file)
	if err == nil || !strings.Contains(text, "Input/output error") {
		t.Errorf("%v %q", err, text)
	}
	if count, err := shim.FailedSyncs(); count != 1 || err != nil {
		t.Errorf("%d failed syncs, %v", count, err)
	}
	if err := shim.FailSync(false); err != nil {
		t.Fatal(err)
	}
	if text, err := under(t, shim, "sync", file); err != nil {
		t.Fatal(err, text)
	}
}
