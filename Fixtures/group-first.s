// The first global symbol is the signature of a COMDAT group, and relocations, an address-significance table and a
// call-graph profile name it: wherever it moves, all of them must follow. Only clang's assembler takes it.
  .section .text.shared,"axG",%progbits,signature,comdat
  .globl signature
  .type signature, %function
signature:
  .quad 0
  .size signature, . - signature

  .text
  .globl caller
  .type caller, %function
caller:
  .quad signature
  .quad other
  .size caller, . - caller

  .data
  .quad other
  .quad signature

  .addrsig
  .addrsig_sym caller
  .addrsig_sym signature

  .cg_profile caller, signature, 10
  .cg_profile caller, other, 20

  .section .note.GNU-stack,"",%progbits
