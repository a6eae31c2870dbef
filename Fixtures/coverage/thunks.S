/*
 * The thunks that compilers call and leave to others, as the kernel has them: -mindirect-branch=thunk-extern,
 * -mfunction-return=thunk-extern, -mretpoline-external-thunk. Weak, because other flags make the compiler define the same names.
 */
.macro RETPOLINE enter:vararg
  call 2f
1:
  pause
  lfence
  jmp 1b
2:
  \enter
  ret
.endm

.irp register, rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15
  .weak __x86_indirect_thunk_\register
  .type __x86_indirect_thunk_\register, %function
__x86_indirect_thunk_\register:
  RETPOLINE mov %\register, (%rsp)
  .size __x86_indirect_thunk_\register, . - __x86_indirect_thunk_\register
.endr

/* The target, or the return address, is on top of the stack. */
.irp name, indirect, return
  .weak __x86_\name\()_thunk
  .type __x86_\name\()_thunk, %function
__x86_\name\()_thunk:
  RETPOLINE lea 8(%rsp), %rsp
  .size __x86_\name\()_thunk, . - __x86_\name\()_thunk
.endr

.section .note.GNU-stack, "", %progbits
