/* The machine code that Stasis runs in 32-bit tasks. It is 64-bit code: on an x86-64 kernel every task may enter the
 * 64-bit code segment, and a call made there with `syscall` is the 64-bit call, with 64-bit structures, whatever the
 * task otherwise is (arch/x86/entry/common.c). All addresses lie below 4 GiB. src/arch/i386-code.ts holds the same
 * bytes; a test assembles this file and compares. Each blob is one section. */
        .intel_syntax noprefix

/* heal: as in x86_64.S, but at its end it goes back through a far jump into the task's own code segment. A far jump and
 * not iretq: that needs a stack, and a signal between the two would write its frame there.
 * What it calls by itself are 32-bit calls: a seccomp filter of the program may allow no others. */
        .section heal, "ax"
        syscall
        mov     rbx, [rip + busy]
        mov     ebp, 1000000
1:      test    rbx, rbx
        jz      2f
        cmp     dword ptr [rbx], 0
        je      2f
        mov     eax, 158                        /* sched_yield() */
        int     0x80
        dec     ebp
        jnz     1b
2:
        mov     eax, 91                         /* munmap(scratch, length) */
        mov     ebx, [rip + scratch]
        mov     ecx, [rip + length]
        int     0x80
        lea     rsp, [rip + flags]
        popfq
        mov     rsp, [rip + saved_rsp]
        mov     eax, 175                        /* rt_sigprocmask(SIG_SETMASK, &mask, NULL, 8) */
        mov     ebx, 2
        lea     ecx, [rip + mask]
        mov     edx, 0
        mov     esi, 8
        int     0x80
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
        jmp     fword ptr [rip + saved_eip]
        .org    216                             /* as long as that of x86_64.S: the same clone stands behind it */
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
saved_eip:      .long 0
saved_cs:       .long 0
saved_rsp:      .quad 0

/* batch: as in x86_64.S, and an entry with flag 2 is a 32-bit call, made with int 0x80: what the kernel remembers of
 * some calls is by which way they came (signal handlers, the robust futex list). */
        .section batch, "ax"
next:
        mov     rax, [rbx]
        cmp     rax, -1
        je      1f
        test    qword ptr [rbx + 72], 2
        jnz     4f
        mov     rdi, [rbx + 8]
        mov     rsi, [rbx + 16]
        mov     rdx, [rbx + 24]
        mov     r10, [rbx + 32]
        mov     r8, [rbx + 40]
        mov     r9, [rbx + 48]
        syscall
5:      mov     [rbx + 56], rax
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
4:      mov     r12, rbx
        mov     ecx, [r12 + 16]
        mov     edx, [r12 + 24]
        mov     esi, [r12 + 32]
        mov     edi, [r12 + 40]
        mov     ebp, [r12 + 48]
        mov     ebx, [r12 + 8]
        int     0x80
        mov     rbx, r12
        jmp     5b

/* call32(number, a, b, c): a 32-bit call of this process; what it points to lies below 4 GiB. */
        .section call32, "ax"
        push    rbx
        mov     eax, edi
        mov     ebx, esi
        mov     esi, ecx
        mov     ecx, edx
        mov     edx, esi
        int     0x80
        pop     rbx
        ret
