//! The program of the pause container, as machine code that is part of this binary.
//!
//! It blocks SIGINT, SIGTERM and SIGCHLD and waits for them: a child that ended is reaped (in a shared process namespace it is everybody's
//! parent), the other two end it. [`code`] reads the instructions out of the running binary; [`crate::images::pause`] wraps them in an ELF header.

use std::arch::global_asm;

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .rodata.krab_pause,\"a\"",
    ".globl krab_pause_start",
    "krab_pause_start:",
    // The set of signals, on the stack: bits 1 (SIGINT), 14 (SIGTERM), 16 (SIGCHLD).
    "push 0x14002",
    // rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
    "mov rsi, rsp",
    "xor edi, edi",
    "xor edx, edx",
    "push 8",
    "pop r10",
    "push 14",
    "pop rax",
    "syscall",
    // rt_sigtimedwait(set, NULL, NULL, 8)
    "2:",
    "mov rdi, rsp",
    "xor esi, esi",
    "xor edx, edx",
    "push 8",
    "pop r10",
    "mov eax, 128",
    "syscall",
    "cmp eax, 17",
    "jne 4f",
    // wait4(-1, NULL, WNOHANG, NULL) until no child is left to reap
    "3:",
    "push -1",
    "pop rdi",
    "xor esi, esi",
    "push 1",
    "pop rdx",
    "xor r10d, r10d",
    "push 61",
    "pop rax",
    "syscall",
    "test rax, rax",
    "jg 3b",
    "jmp 2b",
    "4:",
    "cmp eax, 2",
    "je 5f",
    "cmp eax, 15",
    "jne 2b",
    // exit(0)
    "5:",
    "xor edi, edi",
    "push 60",
    "pop rax",
    "syscall",
    ".globl krab_pause_end",
    "krab_pause_end:",
    ".popsection",
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .rodata.krab_pause,\"a\"",
    ".balign 4",
    ".globl krab_pause_start",
    "krab_pause_start:",
    "sub sp, sp, #16",
    "mov x9, #0x4002",
    "movk x9, #1, lsl #16",
    "str x9, [sp]",
    // rt_sigprocmask(SIG_BLOCK, set, NULL, 8)
    "mov x0, #0",
    "mov x1, sp",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #135",
    "svc #0",
    // rt_sigtimedwait(set, NULL, NULL, 8)
    "2:",
    "mov x0, sp",
    "mov x1, #0",
    "mov x2, #0",
    "mov x3, #8",
    "mov x8, #137",
    "svc #0",
    "cmp w0, #17",
    "b.ne 4f",
    // wait4(-1, NULL, WNOHANG, NULL)
    "3:",
    "mov x0, #-1",
    "mov x1, #0",
    "mov x2, #1",
    "mov x3, #0",
    "mov x8, #260",
    "svc #0",
    "cmp x0, #0",
    "b.gt 3b",
    "b 2b",
    "4:",
    "cmp w0, #2",
    "b.eq 5f",
    "cmp w0, #15",
    "b.ne 2b",
    // exit(0)
    "5:",
    "mov x0, #0",
    "mov x8, #93",
    "svc #0",
    ".globl krab_pause_end",
    "krab_pause_end:",
    ".popsection",
);

unsafe extern "C" {
    static krab_pause_start: u8;
    static krab_pause_end: u8;
}

/// The instructions.
pub(crate) fn code() -> &'static [u8] {
    let start = &raw const krab_pause_start;
    let end = &raw const krab_pause_end;
    let length = (end as usize).saturating_sub(start as usize);
    // SAFETY: both symbols bound one read-only section written above, in this order, so the range between them is initialized, never
    // written and lives as long as the program.
    unsafe { std::slice::from_raw_parts(start, length) }
}
