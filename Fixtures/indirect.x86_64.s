// Calls through the global offset table, a register or a thunk.
  .text
  .globl through_table
  .type through_table, @function
through_table:
  call *__SCT__a@GOTPCREL(%rip)           // X4
  jmp *__SCT__a@GOTPCREL(%rip)            // X5
  .size through_table, . - through_table

  // gcc's way to combine -fno-plt with retpolines.
  .globl pushed
  .type pushed, @function
pushed:
  jmp 1f
2:
  push __SCT__a@GOTPCREL(%rip)            // X6
  jmp __x86_indirect_thunk
1:
  call 2b
  ret
  .size pushed, . - pushed

  .globl through_register
  .type through_register, @function
through_register:
  mov __SCT__a@GOTPCREL(%rip), %rbx       // M1: both calls; no room, and the register is in use
  call *%rbx
  mov %eax, %edi
  call *%rbx
  lea __SCT__b(%rip), %rax                // M2
  call *%rax
  mov $__SCT__a, %eax                     // M3, R_X86_64_32
  call *%rax
  mov $__SCT__b, %r11                     // M3, R_X86_64_32S
  call *%r11
  movabs $__SCT__a, %r12                  // M4
  call *%r12
  movabs $__SCT__b, %rax                  // M4 tail
  jmp *%rax
  .size through_register, . - through_register

  // The large model with position-independent code: the address is completed by an addition.
  .globl large
  .type large, @function
large:
  movabs $__SCT__a@PLTOFF, %rax           // M5: needs the start of the GOT
  add %rbx, %rax
  call *%rax
  movabs $__SCT__a@GOT, %rax              // M6
  call *(%rbx,%rax)
  ret
  .size large, . - large

  .globl through_thunk
  .type through_thunk, @function
through_thunk:
  mov __SCT__a@GOTPCREL(%rip), %rax
  call __x86_indirect_thunk_rax           // T1
  movabs $__SCT__b, %r11
  call __llvm_retpoline_r11               // T1
  lea __SCT__a(%rip), %rbx
  call __x86_indirect_thunk_rax           // another register's thunk: not listed
  call __x86_indirect_thunk_rbx           // T1
  movabs $__SCT__b, %r10
  jmp __x86_indirect_thunk_r10            // T1 tail
  .size through_thunk, . - through_thunk

  // Where the register no longer holds the address for certain, the load is all there is to list.
  .globl lost
  .type lost, @function
lost:
  mov __SCT__a@GOTPCREL(%rip), %rax       // M1, no call: overwritten
  xor %eax, %eax
  call *%rax
  mov __SCT__a@GOTPCREL(%rip), %rcx       // M1, no call: the call before may change it
  call other
  call *%rcx
  mov __SCT__b@GOTPCREL(%rip), %rdx       // M1, no call: only another register is called
  call *%rbx
  ret
  .size lost, . - lost
