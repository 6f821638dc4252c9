package inject

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

//go:embed preload/shim.c
var shimSource []byte

// Shim is the library of preload/shim.c and the file that tells it what to do.
type Shim struct {
	Library string
	control *os.File
}

// The places of preload/shim.c's struct control.
const (
	placeClock = 8 * iota
	placeFailSync
	placeFailedSyncs
	controlSize
)

// NewShim builds the library in a folder.
func NewShim(dir string) (*Shim, error) {
	source, library := filepath.Join(dir, "shim.c"), filepath.Join(dir, "shim.so")
	if err := os.WriteFile(source, shimSource, 0o600); err != nil {
		return nil, err
	}
	if output, err := exec.Command("cc", "-std=c11", "-Wall", "-O1", "-shared", "-fPIC", "-o", library, source, "-ldl").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("the faults clock and fsync need a C compiler (apt-get install gcc libc6-dev): %w: %s", err, output)
	}
	control, err := os.OpenFile(filepath.Join(dir, "shim.control"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	return &Shim{Library: library, control: control}, control.Truncate(controlSize)
}

// Env is what a program started with the library needs.
func (s *Shim) Env() []string { return []string{"KRAB_FAULTS_CONTROL=" + s.control.Name()} }

// Clock puts the wall clock off by so much.
func (s *Shim) Clock(offset time.Duration) error { return s.set(placeClock, int64(offset/time.Second)) }

// FailSync makes every fsync and fdatasync fail with EIO, or none.
func (s *Shim) FailSync(fail bool) error {
	value := int64(0)
	if fail {
		value = 1
	}
	return s.set(placeFailSync, value)
}

// FailedSyncs is how many have failed so far.
func (s *Shim) FailedSyncs() (int64, error) {
	bytes := make([]byte, 8)
	_, err := s.control.ReadAt(bytes, placeFailedSyncs)
	return int64(binary.NativeEndian.Uint64(bytes)), err
}

func (s *Shim) set(place int64, value int64) error {
	_, err := s.control.WriteAt(binary.NativeEndian.AppendUint64(nil, uint64(value)), place)
	return err
}
