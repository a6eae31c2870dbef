// Sites by section: in the order of section indexes, then offsets, whatever the order of their relocation sections. Sections
// that never reach the program are not looked at; replacements of alternatives are listed and left out.
  .section .text.second,"ax",@progbits
  .globl second
  .type second, @function
second:
  ret
  .size second, . - second
  call __SCT__a                           // behind the end of the function before it
  jmp __SCT__b

  .section .init.text,"ax",@progbits
  call __SCT__a                           // no label before it

  .text
  .globl first
  .type first, @function
first:
  call __SCT__b
  ret
  .size first, . - first
label:
  call __SCT__a                           // a label that is no function

  .section .altinstr_replacement,"ax",@progbits
  call __SCT__a                           // left out
  call *__SCT__a@GOTPCREL(%rip)
  .section .altinstr_aux,"ax",@progbits
  call __SCT__a                           // not listed
  .section .discard.text,"ax",@progbits
  call __SCT__a                           // not listed
  .section .text.second
  jne __SCT__a
