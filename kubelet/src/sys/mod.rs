//! The only unsafe code of the kubelet. Everything else of the kernel is reached through `nix`.

#![allow(unsafe_code)]

pub(crate) mod inotify;
pub(crate) mod pause;
