/*
 * Acts on the tables of random-ways-in.h: what a kernel, a debugger or a library does to a program while it runs. Jump labels are
 * switched by patching, restartable sequences and faulting loads are left by signal handlers, and each probe of .note.stapsdt
 * gets a breakpoint, which prints the probe's operands as the note describes them.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <ucontext.h>
#include <unistd.h>

#include "random-calls.h"
#include "random-ways-in.h"

#define TABLE(type, name)                                                              \
  extern struct type __start_##name[] __attribute__((weak, visibility("hidden")));     \
  extern struct type __stop_##name[] __attribute__((weak, visibility("hidden")));
TABLE(label_site, label_sites)
TABLE(label_distance, label_distances)
TABLE(label_distance, label_offsets)
TABLE(fault_site, fault_sites)
TABLE(fault_distance, fault_distances)

struct sequence *volatile current_sequence;
int own_process;
static bool is_on[LABELS];
static long readable = 12;

long *perhaps_readable(long number) { return number & 1 ? (long *)8 : &readable; }

static unsigned long at_distance(const int *field) { return (unsigned long)field + (unsigned long)(long)*field; }

static void make_writable(unsigned long address) {
  enum { page = 4096 };
  unsigned long first = address & ~(page - 1UL), last = (address + 4) & ~(page - 1UL);
  if (mprotect((void *)first, last + page - first, PROT_READ | PROT_WRITE | PROT_EXEC) != 0)
    _exit(121);
}

static void write_code(unsigned long address, const void *code, unsigned size) {
  make_writable(address);
  memcpy((void *)address, code, size);
  __builtin___clear_cache((char *)address, (char *)address + size);
}

/* Jump labels */

static void aim_nop(unsigned long nop, unsigned long target, bool is_jump) {
#if defined(__x86_64__)
  unsigned char code[5] = {0x0f, 0x1f, 0x44, 0x00, 0x00};
  int way = (int)(target - (nop + 5));
  if (is_jump) {
    code[0] = 0xe9;
    memcpy(code + 1, &way, 4);
  }
#else
  unsigned code[1] = {0xd503201f};
  if (is_jump)
    code[0] = 0x14000000 | ((unsigned)(target - nop) >> 2 & 0x3ffffff);
#endif
  write_code(nop, code, sizeof code);
}

void switch_label(unsigned label) {
  is_on[label] = !is_on[label];
  for (struct label_site *site = __start_label_sites; site < __stop_label_sites; site++)
    if (site->label == label)
      aim_nop(site->nop, site->target, is_on[label]);
  for (struct label_distance *site = __start_label_distances; site < __stop_label_distances; site++)
    if (site->label == (int)label)
      aim_nop(at_distance(&site->nop), at_distance(&site->target), is_on[label]);
  for (struct label_distance *site = __start_label_offsets; site < __stop_label_offsets; site++)
    if (site->label == (int)label)
      aim_nop(at_distance(&site->nop), at_distance(&site->nop) + (unsigned long)(long)site->target, is_on[label]);
}

/* Registers of the interrupted program */

#if defined(__x86_64__)

#define PROGRAM_COUNTER(context) ((context)->uc_mcontext.gregs[REG_RIP])
#define BREAKPOINT "\xcc"
/* The processor has executed the breakpoint, which is as long as the nop below it. */
#define SKIPPED 0
#define BREAKPOINT_BEHIND 1

static bool register_value(const ucontext_t *context, const char *name, size_t length, unsigned long *value) {
  static const struct {
    const char *names[4];
    int number;
  } registers[] = {
      {{"rax", "eax", "ax", "al"}, REG_RAX},     {{"rbx", "ebx", "bx", "bl"}, REG_RBX},
      {{"rcx", "ecx", "cx", "cl"}, REG_RCX},     {{"rdx", "edx", "dx", "dl"}, REG_RDX},
      {{"rsi", "esi", "si", "sil"}, REG_RSI},    {{"rdi", "edi", "di", "dil"}, REG_RDI},
      {{"rbp", "ebp", "bp", "bpl"}, REG_RBP},    {{"rsp", "esp", "sp", "spl"}, REG_RSP},
      {{"r8", "r8d", "r8w", "r8b"}, REG_R8},     {{"r9", "r9d", "r9w", "r9b"}, REG_R9},
      {{"r10", "r10d", "r10w", "r10b"}, REG_R10}, {{"r11", "r11d", "r11w", "r11b"}, REG_R11},
      {{"r12", "r12d", "r12w", "r12b"}, REG_R12}, {{"r13", "r13d", "r13w", "r13b"}, REG_R13},
      {{"r14", "r14d", "r14w", "r14b"}, REG_R14}, {{"r15", "r15d", "r15w", "r15b"}, REG_R15},
  };
  for (unsigned i = 0; i < sizeof registers / sizeof *registers; i++)
    for (int j = 0; j < 4; j++)
      if (strlen(registers[i].names[j]) == length && memcmp(registers[i].names[j], name, length) == 0) {
        *value = (unsigned long)context->uc_mcontext.gregs[registers[i].number];
        return true;
      }
  return false;
}

/* An operand as gas writes it: $5, %rbx, -8(%rbp), (%rax,%rcx,8). False where a symbol is part of it. */
static bool operand_value(const ucontext_t *context, const char *text, unsigned long *value) {
  char *end;
  if (*text == '$') {
    *value = (unsigned long)strtol(text + 1, &end, 0);
    return *end == '\0' || *end == ' ';
  }
  if (*text == '%')
    return register_value(context, text + 1, strcspn(text + 1, " "), value);
  unsigned long address = (unsigned long)strtol(text, &end, 0), base = 0, index = 0, scale = 1;
  if (*end++ != '(')
    return false;
  size_t length = strcspn(end, ",)");
  if (length && !register_value(context, end + 1, length - 1, &base))
    return false;
  end += length;
  if (*end == ',') {
    length = strcspn(++end, ",)");
    if (!register_value(context, end + 1, length - 1, &index))
      return false;
    end += length;
    if (*end == ',')
      scale = (unsigned long)strtol(end + 1, &end, 0);
  }
  if (*end != ')')
    return false;
  memcpy(value, (void *)(address + base + index * scale), sizeof *value);
  return true;
}

#else

#define PROGRAM_COUNTER(context) ((context)->uc_mcontext.pc)
#define BREAKPOINT "\x00\x00\x20\xd4"
#define SKIPPED 4
#define BREAKPOINT_BEHIND 0

static bool register_value(const ucontext_t *context, const char *name, size_t length, unsigned long *value) {
  if (length == 2 && memcmp(name, "sp", 2) == 0) {
    *value = context->uc_mcontext.sp;
    return true;
  }
  if (length < 2 || (*name != 'x' && *name != 'w'))
    return false;
  unsigned long number = strtoul(name + 1, NULL, 10);
  *value = number < 31 ? context->uc_mcontext.regs[number] : 0;
  return number <= 31;
}

/* An operand as gas writes it: 5, x20, [sp, 24], [x9]. False for any other. */
static bool operand_value(const ucontext_t *context, const char *text, unsigned long *value) {
  if (*text != '[') {
    char *end;
    if (register_value(context, text, strcspn(text, " "), value))
      return true;
    *value = (unsigned long)strtol(text + (*text == '#'), &end, 0);
    return *end == '\0' || *end == ' ';
  }
  unsigned long address, distance = 0;
  size_t length = strcspn(text + 1, ",]");
  if (!register_value(context, text + 1, length, &address))
    return false;
  text += 1 + length;
  if (*text == ',') {
    char *end;
    text += strspn(text, ", #");
    distance = (unsigned long)strtol(text, &end, 0);
    text = end;
  }
  if (*text != ']')
    return false;
  memcpy(value, (void *)(address + distance), sizeof *value);
  return true;
}

#endif

/* Sequences and faults */

static void abort_sequence(int signal, siginfo_t *information, void *argument) {
  (void)signal, (void)information;
  ucontext_t *context = argument;
  struct sequence *sequence = current_sequence;
  if (!sequence || (unsigned long)PROGRAM_COUNTER(context) - sequence->start >= sequence->length)
    _exit(122);
  note(180, 0);
  current_sequence = NULL;
  PROGRAM_COUNTER(context) = (__typeof__(PROGRAM_COUNTER(context)))sequence->abort;
}

static void land(int signal, siginfo_t *information, void *argument) {
  ucontext_t *context = argument;
  if (current_sequence) {
    abort_sequence(signal, information, argument);
    return;
  }
  unsigned long place = (unsigned long)PROGRAM_COUNTER(context), landing = 0;
  for (struct fault_site *site = __start_fault_sites; site < __stop_fault_sites; site++)
    if (site->load == place)
      landing = site->landing;
  for (struct fault_distance *site = __start_fault_distances; site < __stop_fault_distances; site++)
    if (at_distance(&site->load) == place)
      landing = at_distance(&site->landing);
  if (!landing)
    _exit(123);
  note(181, 0);
  PROGRAM_COUNTER(context) = (__typeof__(PROGRAM_COUNTER(context)))landing;
}

/* Probes */

struct probe {
  unsigned long place;
  const char *name, *arguments;
};
static struct probe *probes;
static unsigned probe_count;

/* The number of a function that all programs have; addresses are no two times the same. */
static int number_of_function(unsigned long address) {
#define TARGETS_OF(name, ...) (unsigned long)__SCT__##name, (unsigned long)name##_0, (unsigned long)name##_1, (unsigned long)name##_2,
  unsigned long functions[] = {RANDOM_CALLS(TARGETS_OF) TARGETS_OF(add) TARGETS_OF(report) TARGETS_OF(grow)
                                   TARGETS_OF(tick) TARGETS_OF(fail)};
  for (unsigned i = 0; i < sizeof functions / sizeof *functions; i++)
    if (functions[i] == address)
      return (int)i;
  return -1;
}

/* The value of an operand that is `size` bytes long, signed if it is negative. */
static long of_size(unsigned long value, int size) {
  int unused = 64 - 8 * abs(size);
  return size < 0 ? (long)(value << unused) >> unused : (long)(value << unused >> unused);
}

/* Behind an operand, which may have spaces and @ in it, begins the next with a space and its size. */
static const char *next_argument(const char *text) {
  while ((text = strchr(text, ' ')) != NULL) {
    text++;
    const char *behind = text + strspn(text, "-1248");
    if (behind > text && *behind == '@')
      return text;
  }
  return "";
}

static void observe(int signal, siginfo_t *information, void *argument) {
  (void)signal, (void)information;
  ucontext_t *context = argument;
  unsigned long place = (unsigned long)PROGRAM_COUNTER(context) - BREAKPOINT_BEHIND;
  for (unsigned i = 0; i < probe_count; i++) {
    if (probes[i].place != place)
      continue;
    /* `N@operand` for each argument. The probe's name has a letter for each: a function, or a number. */
    const char *text = probes[i].arguments;
    for (const char *kind = probes[i].name; *kind; kind++) {
      unsigned long value;
      int size = atoi(text);
      text += strcspn(text, "@");
      text += *text == '@';
      if (*text && operand_value(context, text, &value))
        note(182, *kind == 'f' ? number_of_function(value) : of_size(value, size));
      text = next_argument(text);
    }
    PROGRAM_COUNTER(context) += SKIPPED;
    return;
  }
  _exit(124);
}

extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* Reads the notes from the program's file, since they are not loaded. */
static void find_probes(const char *program) {
  int file = open(program, O_RDONLY);
  struct stat status;
  if (file < 0 || fstat(file, &status) != 0)
    _exit(125);
  const char *contents = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, file, 0);
  if (contents == MAP_FAILED)
    _exit(125);
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)contents;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(contents + header->e_shoff);
  const char *names = contents + sections[header->e_shstrndx].sh_offset;
  unsigned long slide = header->e_type == ET_DYN ? (unsigned long)__ehdr_start : 0;
  for (int i = 0; i < header->e_shnum; i++) {
    if (strcmp(names + sections[i].sh_name, ".note.stapsdt") != 0)
      continue;
    unsigned long end = sections[i].sh_size, next;
    for (unsigned long offset = 0; offset < end; offset = next) {
      const Elf64_Nhdr *note = (const Elf64_Nhdr *)(contents + sections[i].sh_offset + offset);
      const char *words = (const char *)(note + 1) + ((note->n_namesz + 3) & ~3U);
      next = offset + sizeof *note + ((note->n_namesz + 3) & ~3U) + ((note->n_descsz + 3) & ~3U);
      unsigned long place;
      memcpy(&place, words, sizeof place);
      const char *provider = words + 24, *name = provider + strlen(provider) + 1;
      probes = realloc(probes, (probe_count + 1) * sizeof *probes);
      probes[probe_count++] = (struct probe){place + slide, name, name + strlen(name) + 1};
    }
  }
}

static void handle(int signal, void (*handler)(int, siginfo_t *, void *)) {
  struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
  if (sigaction(signal, &action, NULL) != 0)
    _exit(125);
}

void prepare_ways_in(const char *program) {
  own_process = getpid();
  handle(SIGUSR1, abort_sequence);
  handle(SIGILL, abort_sequence);
  handle(SIGSEGV, land);
  handle(SIGTRAP, observe);
  find_probes(program);
  for (unsigned i = 0; i < probe_count; i++)
    write_code(probes[i].place, BREAKPOINT, sizeof BREAKPOINT - 1);
}
