//! The pause image, built in: a static program of some hundred bytes, imported under the name that the runtime is configured with,
//! so that a node starts with no registry.

use cri::containerd::BuiltImage;

use crate::sys;

/// Offset of the code in the file: after the ELF header and one program header.
const CODE: u64 = 64 + 56;
const BASE: u64 = 0x40_0000;

#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;
#[cfg(not(target_arch = "aarch64"))]
const MACHINE: u16 = 62;

/// The program as an ELF file with one segment.
pub(crate) fn program() -> Vec<u8> {
    let code = sys::pause::code();
    let size = CODE + code.len() as u64;
    let mut file = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    // ELF, 64 bits, little endian, version 1.
    file.extend_from_slice(&[0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    file.extend_from_slice(&2u16.to_le_bytes()); // executable
    file.extend_from_slice(&MACHINE.to_le_bytes());
    file.extend_from_slice(&1u32.to_le_bytes());
    file.extend_from_slice(&(BASE + CODE).to_le_bytes()); // entry
    file.extend_from_slice(&64u64.to_le_bytes()); // program headers
    file.extend_from_slice(&0u64.to_le_bytes()); // no section headers
    file.extend_from_slice(&0u32.to_le_bytes());
    for half in [64u16, 56, 1, 64, 0, 0] {
        file.extend_from_slice(&half.to_le_bytes());
    }
    // The one segment: all of the file, readable and executable.
    file.extend_from_slice(&1u32.to_le_bytes());
    file.extend_from_slice(&5u32.to_le_bytes());
    for word in [0, BASE, BASE, size, size, 0x1000] {
        file.extend_from_slice(&word.to_le_bytes());
    }
    file.extend_from_slice(code);
    file
}

/// The image under `name`.
pub(crate) fn image(name: &str) -> BuiltImage {
    BuiltImage {
        name: full_name(name),
        layer: tar("pause", &program()),
        entrypoint: vec!["/pause".into()],
        user: "65535:65535".into(),
        architecture: crate::node::info::architecture().into(),
    }
}

/// containerd stores images under normalized names: registry and tag spelled out.
pub(crate) fn full_name(image: &str) -> String {
    let (first, rest) = image.split_once('/').unwrap_or(("", image));
    let is_registry = first.contains(['.', ':']) || first == "localhost";
    let named = match (is_registry, first.is_empty()) {
        (true, _) => image.to_owned(),
        (false, true) => format!("docker.io/library/{rest}"),
        (false, false) => format!("docker.io/{image}"),
    };
    super::with_default_tag(&named)
}

/// A tar archive of one executable file.
fn tar(name: &str, contents: &[u8]) -> Vec<u8> {
    let mut header = [0u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, name.as_bytes());
    put(100, b"0000755\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{:011o}\0", contents.len()).as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut archive = header.to_vec();
    archive.extend_from_slice(contents);
    archive.resize(archive.len().next_multiple_of(512) + 1024, 0);
    archive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_out() {
        for (name, full) in [
            ("registry.k8s.io/pause:3.10", "registry.k8s.io/pause:3.10"),
            ("pause", "docker.io/library/pause:latest"),
            ("krab/pause:1", "docker.io/krab/pause:1"),
            ("localhost:5000/pause", "localhost:5000/pause:latest"),
        ] {
            assert_eq!(full_name(name), full);
        }
    }

    #[test]
    fn the_program_waits_and_ends_at_sigterm() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pause");
        std::fs::write(&path, program()).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut child = std::process::Command::new(&path).spawn().unwrap();
        // SIGTERM before the mask is set kills it just as well; either way it must be gone at once.
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        child.wait().unwrap();
    }
}
