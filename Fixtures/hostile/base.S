// An object with one of everything that staticcall reads: direct calls, calls through the GOT and a register, a jump table, a landing pad,
// unwind tables, alternatives, a section group, local and global trampolines, addresses in data. generate.py damages it.
#ifdef __x86_64__
#define CALL call
#define JUMP jmp
#else
#define CALL bl
#define JUMP b
#endif

  .text
  .globl caller
  .type caller, %function
caller:
  .cfi_startproc
  .cfi_lsda 0x1b, .Ltable
  CALL __SCT__one
  CALL __SCT__here
#ifdef __x86_64__
  call *__SCT__one@GOTPCREL(%rip)
  mov __SCT__two@GOTPCREL(%rip), %rbx
.Lthrows:
  call thrower
.Lthrown:
  call *%rbx
  cmp $3, %edi
  ja .Lpad
  lea .Ljumps(%rip), %rax
  movslq (%rax,%rdi,4), %rcx
  add %rax, %rcx
  jmp *%rcx
.Lfirst:
  call *%rbx
.Lpad:
#else
  adrp x8, :got:__SCT__one
  ldr x8, [x8, :got_lo12:__SCT__one]
  blr x8
  adrp x19, :got:__SCT__two
  ldr x19, [x19, :got_lo12:__SCT__two]
.Lthrows:
  bl thrower
.Lthrown:
  blr x19
  cmp w0, 3
  b.hi .Lpad
  adrp x9, .Ljumps
  add x9, x9, :lo12:.Ljumps
  ldrsw x10, [x9, w0, uxtw 2]
  adr x11, .Lfirst
  add x10, x10, x11
  br x10
.Lfirst:
  blr x19
.Lpad:
#endif
  JUMP __SCT__two
  .cfi_endproc
  .size caller, . - caller

  .section .text.other,"ax",%progbits
  .globl other
  .type other, %function
other:
  CALL __SCT__local
  JUMP __SCT__one
  .size other, . - other

  .section .static_call.text,"ax",%progbits
  .p2align 3
  .globl __SCT__here
  .type __SCT__here, %function
__SCT__here:
  JUMP target
  .p2align 3
  .type __SCT__local, %function
__SCT__local:
  JUMP other

  .section .text.shared,"axG",%progbits,shared,comdat
  .weak shared
  .type shared, %function
shared:
  CALL other

  .section .rodata,"a",%progbits
  .p2align 2
.Ljumps:
#ifdef __x86_64__
  .long .Lfirst - .Ljumps, .Lpad - .Ljumps, .Lfirst - .Ljumps, .Lpad - .Ljumps
#else
  .long 0, .Lpad - .Lfirst, 0, .Lpad - .Lfirst
#endif

  .section .gcc_except_table,"a",%progbits
.Ltable:
  .byte 0xff, 0xff, 1
  .uleb128 .Lsites_end - .Lsites
.Lsites:
  .uleb128 .Lthrows - caller
  .uleb128 .Lthrown - .Lthrows
  .uleb128 .Lpad - caller
  .uleb128 0
.Lsites_end:

  .section .altinstructions,"a",%progbits
  .long other - .
  .long .Lreplacement - .
  .long 0
  .byte 4, 4
  .section .altinstr_replacement,"ax",%progbits
.Lreplacement:
  CALL thrower
  .section .orc_unwind_ip,"a",%progbits
  .long caller - .
  .section .orc_unwind,"a",%progbits
  .long 0, 0
  .section .debug_info,"",%progbits
  .zero 64
  .section .debug_line,"",%progbits
  .zero 64

  .data
  .p2align 3
  .quad __SCT__two
  .quad __SCK__one
  .quad __SCK__two
  .globl __SCK__here
__SCK__here:
  .quad target
__SCK__local:
  .quad other
  .section .note.GNU-stack,"",%progbits
