// Direct branches: `bl` and `b` are sites. The conditional branches, which do not reach far, are none.
  .text
  .globl branches
  .type branches, %function
branches:
  bl __SCT__a                   // A1 call
  b.eq __SCT__a                 // E, R_AARCH64_CONDBR19
  cbz x0, __SCT__a              // E, R_AARCH64_CONDBR19
  tbnz x0, #3, __SCT__a         // E, R_AARCH64_TSTBR14
  bl __SCT__a + 4               // beside the trampoline: not listed
  bl other                      // another function: not listed
  b __SCT__b                    // A2 tail
  .size branches, . - branches

  // A branch's relocation on a word that is no branch.
  .globl lookalike
  .type lookalike, %function
lookalike:
  .reloc ., R_AARCH64_CALL26, __SCT__a
  nop                           // C
  ret
  .size lookalike, . - lookalike
