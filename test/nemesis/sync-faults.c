/*
 * Makes the file calls of a running program fail, wait or fall short (sync-faults.ts builds this and tells it what to do).
 *
 * Loaded by LD_PRELOAD, which is only the way in: Bun enters the kernel without the C library for most of its file calls, so functions of
 * the same name would miss them. Instead a seccomp filter turns the calls named below into a SIGSYS on the thread that makes them, whatever
 * code that is. The handler looks at the board, a file mapped into this process and into the test, and then makes the call, or does not.
 *
 *   1. The filter traps fsync, fdatasync, write, pwrite64 and pread64, from everywhere but the one instruction in `enter_kernel`.
 *   2. The handler counts calls on regular files and directories below the path of the board; all others pass.
 *   3. A call that is to fail gets its errno without having been made: what was to be synced stays in the page cache.
 *   4. Bun answers SIGSYS with ENOSYS once it is up; `sigaction` below keeps it from that.
 *
 * A program that runs another one loses it: the filter stays, the handler does not. hutch runs none.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define STUCK_POLL_MS 5

/* The same order as FIELDS in sync-faults.ts. */
struct board {
  int32_t magic;
  /* What is asked for. `*_next`: so many of the next calls; `*_at`: the n-th call since the start; 0 for none. */
  int32_t sync_fail_next, sync_fail_at, sync_errno, sync_delay_ms, sync_is_stuck;
  int32_t write_fail_next, write_fail_at, write_errno, write_short_next;
  int32_t read_fail_next, read_errno;
  /* What happened. */
  int32_t syncs, writes, reads;
  int32_t syncs_failed, syncs_delayed, writes_failed, writes_shortened, reads_failed;
};

static struct board *board;
static char under[PATH_BYTES];
static size_t under_length;

long enter_kernel(long number, long a, long b, long c, long d);
extern const char enter_kernel_return[];

#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
__asm__(".text\n.hidden enter_kernel\n.globl enter_kernel\n.type enter_kernel,@function\n"
        "enter_kernel:\n"
        "  mov %rdi,%rax\n  mov %rsi,%rdi\n  mov %rdx,%rsi\n  mov %rcx,%rdx\n  mov %r8,%r10\n  syscall\n"
        ".hidden enter_kernel_return\n.globl enter_kernel_return\nenter_kernel_return:\n  ret\n");
#define ARGUMENT(context, i) \
  ((long)(context)->uc_mcontext.gregs[(i) == 0 ? REG_RDI : (i) == 1 ? REG_RSI : (i) == 2 ? REG_RDX : REG_R10])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
__asm__(".text\n.hidden enter_kernel\n.globl enter_kernel\n.type enter_kernel,@function\n"
        "enter_kernel:\n"
        "  mov x8,x0\n  mov x0,x1\n  mov x1,x2\n  mov x2,x3\n  mov x3,x4\n  svc #0\n"
        ".hidden enter_kernel_return\n.globl enter_kernel_return\nenter_kernel_return:\n  ret\n");
#define ARGUMENT(context, i) ((long)(context)->uc_mcontext.regs[i])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "only x86-64 and arm64"
#endif

static int32_t add(int32_t *field, int32_t amount) {
  return __atomic_add_fetch(field, amount, __ATOMIC_SEQ_CST);
}

static int32_t value_of(int32_t *field) { return __atomic_load_n(field, __ATOMIC_SEQ_CST); }

/* Takes one of those that are left. */
static int take(int32_t *left) {
  int32_t seen = value_of(left);
  while (seen > 0)
    if (__atomic_compare_exchange_n(left, &seen, seen - 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) return 1;
  return 0;
}

static void wait_ms(int32_t ms) {
  struct timespec left = {ms / 1000, (long)(ms % 1000) * 1000000L};
  while (nanosleep(&left, &left) != 0 && errno == EINTR) {
  }
}

/* A file or directory at or below the path of the board. */
static int is_ours(int descriptor) {
  struct stat about;
  if (fstat(descriptor, &about) != 0 || !(S_ISREG(about.st_mode) || S_ISDIR(about.st_mode))) return 0;
  char link[32] = "/proc/self/fd/", digits[12];
  int count = 0;
  do digits[count++] = (char)('0' + descriptor % 10);
  while ((descriptor /= 10) > 0);
  char *end = link + strlen(link);
  while (count > 0) *end++ = digits[--count];
  *end = 0;
  char path[PATH_BYTES];
  ssize_t length = readlink(link, path, sizeof path);
  return length >= (ssize_t)under_length && memcmp(path, under, under_length) == 0;
}

static int is_failing(int32_t number, int32_t *next, int32_t *at) {
  return take(next) || number == value_of(at);
}

/* 0, or the errno to fail with. */
static int32_t fault_of_sync(void) {
  int32_t number = add(&board->syncs, 1);
  int32_t delay_ms = value_of(&board->sync_delay_ms);
  if (delay_ms > 0 || value_of(&board->sync_is_stuck)) add(&board->syncs_delayed, 1);
  if (delay_ms > 0) wait_ms(delay_ms);
  while (value_of(&board->sync_is_stuck)) wait_ms(STUCK_POLL_MS);
  if (!is_failing(number, &board->sync_fail_next, &board->sync_fail_at)) return 0;
  add(&board->syncs_failed, 1);
  return value_of(&board->sync_errno);
}

static int32_t fault_of_write(long *length) {
  int32_t number = add(&board->writes, 1);
  if (is_failing(number, &board->write_fail_next, &board->write_fail_at)) {
    add(&board->writes_failed, 1);
    return value_of(&board->write_errno);
  }
  if (*length > 1 && take(&board->write_short_next)) {
    add(&board->writes_shortened, 1);
    *length /= 2;
  }
  return 0;
}

static int32_t fault_of_read(void) {
  add(&board->reads, 1);
  if (!take(&board->read_fail_next)) return 0;
  add(&board->reads_failed, 1);
  return value_of(&board->read_errno);
}

static void on_trap(int signal, siginfo_t *info, void *raw) {
  (void)signal;
  ucontext_t *context = raw;
  int saved = errno;
  long number = info->si_syscall;
  long length = ARGUMENT(context, 2);
  int32_t fault = 0;
  if (is_ours((int)ARGUMENT(context, 0))) {
    if (number == SYS_fsync || number == SYS_fdatasync) fault = fault_of_sync();
    else if (number == SYS_pread64) fault = fault_of_read();
    else fault = fault_of_write(&length);
  }
  RESULT(context) = fault > 0 ? -fault
                              : enter_kernel(number, ARGUMENT(context, 0), ARGUMENT(context, 1), length,
                                             ARGUMENT(context, 3));
  errno = saved;
}

static int install_filter(void) {
  uint64_t allowed = (uint64_t)(uintptr_t)enter_kernel_return;
#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define IS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
  struct sock_filter program[] = {
      FIELD(arch),
      IS(ARCHITECTURE, 0, 10),
      FIELD(nr),
      IS(SYS_fsync, 4, 0),
      IS(SYS_fdatasync, 3, 0),
      IS(SYS_write, 2, 0),
      IS(SYS_pwrite64, 1, 0),
      IS(SYS_pread64, 0, 4),
      FIELD(instruction_pointer), /* its lower half: both machines are little-endian */
      IS(allowed, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, instruction_pointer) + 4),
      IS(allowed >> 32, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
  };
  struct sock_fprog filter = {sizeof program / sizeof *program, program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
}

typedef int set_action(int, const struct sigaction *, struct sigaction *);

static int set_real_action(int signal, const struct sigaction *action, struct sigaction *before) {
  static set_action *real;
  if (real == NULL) real = (set_action *)dlsym(RTLD_NEXT, "sigaction");
  return real(signal, action, before);
}

int sigaction(int signal, const struct sigaction *action, struct sigaction *before) {
  return set_real_action(signal, signal == SIGSYS && board != NULL ? NULL : action, before);
}

static void give_up(const char *why) {
  ssize_t written = write(2, why, strlen(why));
  (void)written;
  _exit(70);
}

__attribute__((constructor)) static void load(void) {
  const char *path = getenv("SYNC_FAULTS_BOARD");
  const char *directory = getenv("SYNC_FAULTS_UNDER");
  if (path == NULL) return;
  under_length = directory == NULL ? 0 : strlen(directory);
  if (under_length >= PATH_BYTES) give_up("sync-faults: the path is too long\n");
  if (under_length > 0) memcpy(under, directory, under_length);
  int descriptor = open(path, O_RDWR | O_CLOEXEC);
  if (descriptor < 0) give_up("sync-faults: cannot open the board\n");
  board = mmap(NULL, sizeof *board, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
  close(descriptor);
  if (board == MAP_FAILED) give_up("sync-faults: cannot map the board\n");
  struct sigaction action = {0};
  action.sa_sigaction = on_trap;
  action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART;
  if (set_real_action(SIGSYS, &action, NULL) != 0) give_up("sync-faults: cannot handle SIGSYS\n");
  if (install_filter() != 0) give_up("sync-faults: cannot install the filter\n");
}
