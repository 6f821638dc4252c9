package inject

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// diskSize holds what ten minutes of load write, with the logs of three etcd members.
const diskSize = 3 << 30

// Disk is a file system of its own for the data, so that only that can be filled.
type Disk struct {
	Dir    string
	filler string
}

// NewDisk makes one in a file and mounts it. The mount is seen in this mount namespace
// only, and goes with it.
func NewDisk(dir string) (*Disk, error) {
	image, mount := filepath.Join(dir, "disk.img"), filepath.Join(dir, "data")
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return nil, err
	}
	if err := os.Truncate(image, diskSize); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(mount, 0o700); err != nil {
		return nil, err
	}
	// -m 0: root, too, finds the disk full.
	for _, command := range [][]string{
		{"mkfs.ext4", "-q", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1", image},
		{"mount", "-o", "loop", image, mount},
	} {
		if output, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("%s: %w: %s", command[0], err, output)
		}
	}
	return &Disk{Dir: mount, filler: filepath.Join(mount, "filler")}, nil
}

// Fill takes all the space there is.
func (d *Disk) Fill() error {
	file, err := os.OpenFile(d.filler, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	var end int64
	for step := int64(diskSize); step >= 4096; {
		err := syscall.Fallocate(int(file.Fd()), 0, end, step)
		switch {
		case err == nil:
			end += step
		case errors.Is(err, syscall.ENOSPC):
			step /= 2
		case !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("fill the disk: %w", err)
		}
	}
	return nil
}

// Free gives the space back.
func (d *Disk) Free() error { return os.Remove(d.filler) }

// Close takes the mount away.
func (d *Disk) Close() error { return syscall.Unmount(d.Dir, syscall.MNT_DETACH) }
