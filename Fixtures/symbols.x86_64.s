// A trampoline is known by its name alone: whatever the binding and the visibility, and wherever it is defined; data is none.
  .file "__SCT__file"                     // the name of a source file is no trampoline
  .text
  .globl caller
  .type caller, @function
caller:
  call __SCT__undefined
  call __SCT__weak_undefined
  call __SCT__hidden
  call __SCT__global
  call __SCT__weak
  call __SCT__local                       // the assembler names the section in place of the symbol
  call __SCT__second_local
  call __SCT__local + 1                   // between two trampolines: not listed
  call __SCT__data                        // an object: not listed
  call __SCT__                            // the empty name is a name
  call _SCT__a                            // not listed
  call x__SCT__a                          // not listed
  ret
  .size caller, . - caller

  .weak __SCT__weak_undefined
  .hidden __SCT__hidden

  .section .static_call.text,"ax",@progbits
  .type __SCT__local, @function
__SCT__local:
  jmp target
  .byte 0xcc, 0xcc, 0xcc
  .size __SCT__local, . - __SCT__local
  .type __SCT__second_local, @function
__SCT__second_local:
  jmp target
  .byte 0xcc, 0xcc, 0xcc
  .size __SCT__second_local, . - __SCT__second_local
  .globl __SCT__global
  .type __SCT__global, @function
__SCT__global:
  jmp target
  .size __SCT__global, . - __SCT__global
  .weak __SCT__weak
  .type __SCT__weak, @function
__SCT__weak:
  jmp target
  .size __SCT__weak, . - __SCT__weak

  .data
  .globl __SCT__data
  .type __SCT__data, @object
__SCT__data:
  .quad 0
  .size __SCT__data, . - __SCT__data
