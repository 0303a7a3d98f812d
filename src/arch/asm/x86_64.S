/* The machine code that Stasis runs, x86-64. src/arch/x86_64-code.ts holds the same bytes; a test assembles this
 * file and compares. Everything is position independent. Each blob is one section. */
        .intel_syntax noprefix

/* heal: one injected system call that undoes itself. The driver points rip at the first instruction and stops the
 * task at the system call's exit. If the driver dies at any time, the task runs on through the rest: it unmaps the
 * scratch page, restores the signal mask and every register, and continues where it was. The stack is not used (the
 * memory below it may belong to somebody else) and restart_block is left alone (rt_sigreturn would clear it). */
        .section heal, "ax"
        syscall
        mov     rbx, [rip + busy]               /* another thread may still be using the scratch page: see follow */
        mov     ebp, 1000000
1:      test    rbx, rbx
        jz      2f
        cmp     dword ptr [rbx], 0
        je      2f
        mov     eax, 24                         /* sched_yield() */
        syscall
        dec     ebp
        jnz     1b
2:
        mov     eax, 11                         /* munmap(scratch, length) */
        mov     rdi, [rip + scratch]
        mov     rsi, [rip + length]
        syscall
        lea     rsp, [rip + flags]
        popfq
        mov     rsp, [rip + saved_rsp]
        mov     eax, 14                         /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
        mov     edi, 2
        lea     rsi, [rip + mask]
        mov     edx, 0
        mov     r10d, 8
        syscall
        mov     r15, [rip + saved_r15]
        mov     r14, [rip + saved_r14]
        mov     r13, [rip + saved_r13]
        mov     r12, [rip + saved_r12]
        mov     rbp, [rip + saved_rbp]
        mov     rbx, [rip + saved_rbx]
        mov     r11, [rip + saved_r11]
        mov     r10, [rip + saved_r10]
        mov     r9, [rip + saved_r9]
        mov     r8, [rip + saved_r8]
        mov     rax, [rip + saved_rax]
        mov     rcx, [rip + saved_rcx]
        mov     rdx, [rip + saved_rdx]
        mov     rsi, [rip + saved_rsi]
        mov     rdi, [rip + saved_rdi]
        jmp     [rip + saved_rip]
        .balign 8
busy:           .quad 0
scratch:        .quad 0
length:         .quad 0
mask:           .quad 0
flags:          .quad 0
saved_r15:      .quad 0                         /* from here in the order of user_regs_struct */
saved_r14:      .quad 0
saved_r13:      .quad 0
saved_r12:      .quad 0
saved_rbp:      .quad 0
saved_rbx:      .quad 0
saved_r11:      .quad 0
saved_r10:      .quad 0
saved_r9:       .quad 0
saved_r8:       .quad 0
saved_rax:      .quad 0
saved_rcx:      .quad 0
saved_rdx:      .quad 0
saved_rsi:      .quad 0
saved_rdi:      .quad 0
saved_rip:      .quad 0
saved_rsp:      .quad 0

/* clone: stands right behind heal and its data. One injected clone() in the room, for a copy of the task's memory; the
 * driver points rip at its first instruction. If the driver dies, the new task ends itself at once, and the task waits
 * for it (__WALL: it has no exit signal) before it heals as ever. */
        .section clone, "ax"
        syscall
        test    eax, eax
        jz      1f
        js      2f
        mov     edi, eax
        mov     eax, 61                         /* wait4(pid, NULL, __WALL, NULL) */
        xor     esi, esi
        mov     edx, 0x40000000
        xor     r10d, r10d
        syscall
2:      jmp     . - 417                         /* heal, behind its first instruction */
1:      mov     eax, 60                         /* exit */
        syscall

/* follow: another thread of the process answers questions while the first is held in `heal`. rbx points at a table of
 * calls, 64 bytes each: number (-1 ends), five arguments, result. Then the thread says that it needs the scratch page
 * no more, and sends itself a signal that nothing happens by, which stops it for its tracer. If there is none any more, it
 * restores its signal mask and its registers, which lie behind the code, and goes on. */
        .section follow, "ax"
1:      mov     rax, [rbx]
        cmp     rax, -1
        je      2f
        mov     rdi, [rbx + 8]
        mov     rsi, [rbx + 16]
        mov     rdx, [rbx + 24]
        mov     r10, [rbx + 32]
        mov     r8, [rbx + 40]
        syscall
        mov     [rbx + 48], rax
        add     rbx, 64
        jmp     1b
2:      mov     rbx, [rip + f_busy]
        mov     dword ptr [rbx], 0
        mov     eax, 234                        /* tgkill(tgid, tid, signal) */
        mov     rdi, [rip + f_tgid]
        mov     rsi, [rip + f_tid]
        mov     rdx, [rip + f_signal]
        syscall
        lea     rsp, [rip + f_flags]
        popfq
        mov     rsp, [rip + f_saved_rsp]
        mov     eax, 14                         /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
        mov     edi, 2
        lea     rsi, [rip + f_mask]
        mov     edx, 0
        mov     r10d, 8
        syscall
        mov     r15, [rip + f_saved_r15]
        mov     r14, [rip + f_saved_r14]
        mov     r13, [rip + f_saved_r13]
        mov     r12, [rip + f_saved_r12]
        mov     rbp, [rip + f_saved_rbp]
        mov     rbx, [rip + f_saved_rbx]
        mov     r11, [rip + f_saved_r11]
        mov     r10, [rip + f_saved_r10]
        mov     r9, [rip + f_saved_r9]
        mov     r8, [rip + f_saved_r8]
        mov     rax, [rip + f_saved_rax]
        mov     rcx, [rip + f_saved_rcx]
        mov     rdx, [rip + f_saved_rdx]
        mov     rsi, [rip + f_saved_rsi]
        mov     rdi, [rip + f_saved_rdi]
        jmp     [rip + f_saved_rip]
        .balign 8
f_busy:         .quad 0
f_tgid:         .quad 0
f_tid:          .quad 0
f_signal:       .quad 0
f_mask:         .quad 0
f_flags:        .quad 0
f_saved_r15:     .quad 0
f_saved_r14:     .quad 0
f_saved_r13:     .quad 0
f_saved_r12:     .quad 0
f_saved_rbp:     .quad 0
f_saved_rbx:     .quad 0
f_saved_r11:     .quad 0
f_saved_r10:     .quad 0
f_saved_r9:      .quad 0
f_saved_r8:      .quad 0
f_saved_rax:     .quad 0
f_saved_rcx:     .quad 0
f_saved_rdx:     .quad 0
f_saved_rsi:     .quad 0
f_saved_rdi:     .quad 0
f_saved_rip:     .quad 0
f_saved_rsp:     .quad 0

/* batch: runs a table of system calls. rbx points at the first entry, 80 bytes each: number (-1 ends), six
 * arguments, result, address that also receives the result (0: none), flags (1: may fail). Ends in int3 with rbx at
 * the entry that ended it. */
        .section batch, "ax"
next:
        mov     rax, [rbx]
        cmp     rax, -1
        je      1f
        mov     rdi, [rbx + 8]
        mov     rsi, [rbx + 16]
        mov     rdx, [rbx + 24]
        mov     r10, [rbx + 32]
        mov     r8, [rbx + 40]
        mov     r9, [rbx + 48]
        syscall
        mov     [rbx + 56], rax
        mov     rcx, [rbx + 64]
        test    rcx, rcx
        jz      2f
        mov     [rcx], rax
2:      cmp     rax, -4095
        jb      3f
        test    qword ptr [rbx + 72], 1
        jz      1f
3:      add     rbx, 80
        jmp     next
1:      int3

/* spawn(table, stack, pid_out, how): starts a process that is nobody's child and runs the table (ends in execve). `how`
 * points at two words: flags, and the address of a struct clone_args (88 bytes) or 0. The first child (CLONE_VM |
 * CLONE_VFORK) makes the second (CLONE_VM | flags, or as clone_args says) and exits; its pid is returned for waitpid.
 * Both use the stack given, of which they touch nothing but what the kernel needs. pid_out gets minus the errno when
 * the second cannot be made. */
        .section spawn, "ax"
        push    rbx
        push    r12
        push    r13
        mov     rbx, rdi
        mov     r12, rsi
        mov     r13, rdx
        push    r14
        mov     r14, rcx
        mov     eax, 56                         /* clone */
        mov     rdi, [r14]
        or      edi, 0x4100                     /* CLONE_VM | CLONE_VFORK, no exit signal */
        mov     rsi, r12
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
        syscall
        test    rax, rax
        jz      1f
        pop     r14
        pop     r13
        pop     r12
        pop     rbx
        ret
1:      mov     rdi, [r14 + 8]
        test    rdi, rdi
        jz      5f
        mov     eax, 435                        /* clone3(args, size) */
        mov     esi, 88
        jmp     6f
5:      mov     eax, 56
        mov     rdi, [r14]
        or      edi, 0x100                      /* CLONE_VM */
        mov     rsi, r12
        xor     edx, edx
        xor     r10d, r10d
        xor     r8d, r8d
6:      syscall
        test    rax, rax
        jz      2f
        mov     [r13], rax
        xor     edi, edi
        mov     eax, 60                         /* exit */
        syscall
2:      mov     rax, [rbx]
        cmp     rax, -1
        je      4f
        mov     rdi, [rbx + 8]
        mov     rsi, [rbx + 16]
        mov     rdx, [rbx + 24]
        mov     r10, [rbx + 32]
        mov     r8, [rbx + 40]
        mov     r9, [rbx + 48]
        syscall
        mov     [rbx + 56], rax
        cmp     rax, -4095
        jb      3f
        test    qword ptr [rbx + 72], 1
        jz      4f
3:      add     rbx, 80
        jmp     2b
4:      mov     edi, 127
        mov     eax, 60
        syscall

/* calls(table): makes a table of system calls for this process, 64 bytes each: number (-1 ends), six arguments, result. */
        .section calls, "ax"
        push    rbx
        mov     rbx, rdi
1:      mov     rax, [rbx]
        cmp     rax, -1
        je      2f
        mov     rdi, [rbx + 8]
        mov     rsi, [rbx + 16]
        mov     rdx, [rbx + 24]
        mov     r10, [rbx + 32]
        mov     r8, [rbx + 40]
        mov     r9, [rbx + 48]
        syscall
        mov     [rbx + 56], rax
        add     rbx, 64
        jmp     1b
2:      pop     rbx
        ret

/* cpuid(leaf, subleaf, out): four u32 to out. */
        .section cpuid, "ax"
        push    rbx
        mov     r8, rdx
        mov     eax, edi
        mov     ecx, esi
        cpuid
        mov     [r8], eax
        mov     [r8 + 4], ebx
        mov     [r8 + 8], ecx
        mov     [r8 + 12], edx
        pop     rbx
        ret
