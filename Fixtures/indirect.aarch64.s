// Calls through a register or a thunk: they reach the trampoline and stay indirect. The relocation that completes the address
// says how it was loaded.
  .text
  .globl through_register
  .type through_register, %function
through_register:
  adrp x19, :got:__SCT__a                 // M7: both calls
  ldr x19, [x19, :got_lo12:__SCT__a]
  blr x19
  blr x19
  adrp x8, __SCT__b                       // M8
  add x8, x8, :lo12:__SCT__b
  blr x8
  .reloc ., R_AARCH64_GOT_LD_PREL19, __SCT__a
  ldr x9, .                               // M9
  blr x9
  adr x10, __SCT__b                       // M9
  blr x10
  movz x11, #:abs_g0_nc:__SCT__a          // M10
  movk x11, #:abs_g1_nc:__SCT__a
  movk x11, #:abs_g2_nc:__SCT__a
  movk x11, #:abs_g3:__SCT__a
  blr x11
  adrp x8, :got:__SCT__b                  // M7 tail
  ldr x8, [x8, :got_lo12:__SCT__b]
  br x8
  .size through_register, . - through_register

  // A literal pool among the code: the load is not followed.
  .globl pool
  .type pool, %function
pool:
  ldr x8, 1f
  blr x8
  ret
  .p2align 3
1:
  .xword __SCT__a                         // M11
  .size pool, . - pool

  .globl through_thunk
  .type through_thunk, %function
through_thunk:
  adrp x8, :got:__SCT__a
  ldr x8, [x8, :got_lo12:__SCT__a]
  bl __call_indirect_x8                   // T3
  adrp x20, __SCT__b
  add x20, x20, :lo12:__SCT__b
  bl __llvm_slsblr_thunk_x20              // T3
  bl __llvm_slsblr_thunk_x21              // another register's thunk: not listed
  ret
  .size through_thunk, . - through_thunk

  // Where the register no longer holds the address for certain, the load is all there is to list.
  .globl lost
  .type lost, %function
lost:
  adrp x8, :got:__SCT__a
  ldr x8, [x8, :got_lo12:__SCT__a]        // M7, no call: overwritten
  mov x8, #0
  blr x8
  adrp x9, :got:__SCT__a
  ldr x9, [x9, :got_lo12:__SCT__a]        // M7, no call: the call before may change it
  bl other
  blr x9
  ret
  .size lost, . - lost
