// One of everything that the object format has and no machine: a global and a local function, data, a COMDAT group, a local
// and a weak symbol, relocations against a symbol and against a section. Both assemblers take it for both machines.
  .text
  .globl f
  .type f, %function
f:
  .quad g
  .quad inner
  .size f, . - f

  .data
  .p2align 3
  .type inner, %object
inner:
  .quad f
  .size inner, . - inner
  .weak spare
spare:
  .quad 0

  .bss
  .p2align 4
  .zero 64

  .section .text.shared,"axG",%progbits,signature,comdat
  .weak signature
  .type signature, %function
signature:
  .quad h
  .size signature, . - signature

  .section .note.GNU-stack,"",%progbits
