// Sites by section: in the order of section indexes, then offsets, whatever the order of their relocation sections. Sections
// that never reach the program are not looked at; replacements of alternatives are listed and left out.
  .section .text.second,"ax",%progbits
  .globl second
  .type second, %function
second:
  ret
  .size second, . - second
  bl __SCT__a                             // behind the end of the function before it
  b __SCT__b

  .section .init.text,"ax",%progbits
  bl __SCT__a                             // no label before it

  .text
  .globl first
  .type first, %function
first:
  bl __SCT__b
  ret
  .size first, . - first
label:
  bl __SCT__a                             // a label that is no function

  .section .altinstr_replacement,"ax",%progbits
  bl __SCT__a                             // left out
  adrp x8, :got:__SCT__a
  ldr x8, [x8, :got_lo12:__SCT__a]
  blr x8
  .section .altinstr_aux,"ax",%progbits
  bl __SCT__a                             // not listed
  .section .discard.text,"ax",%progbits
  bl __SCT__a                             // not listed
  .section .text.second
  b.ne __SCT__a
