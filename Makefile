# Every developer action under one name. `make help` lists them.

PREFIX ?= /usr/local
DESTDIR ?=
STATICCALL_DEBUG = .build/debug/staticcall
STATICCALL_RELEASE = .build/static/release/staticcall
KERNEL = .build/kernel
RUNTIME = Sources/StaticCallRuntime
RUNTIME_BUILD ?= .build/runtime
FUZZ_SECONDS ?= 120
FUZZ_WORK ?= .build/fuzz
# What `make debian12` and `make debian13` run in there: a demonstration and all tests, unless it is said.
COMMAND ?=
# libFuzzer without its main function, from the toolchain.
FUZZER = $(wildcard $(dir $(realpath $(shell command -v swiftc)))../lib/clang/*/lib/*/libclang_rt.fuzzer_no_main-$(shell uname -m).a)

.PHONY: help deps build demo test lint format parity equality coverage equivalence random mutants images instructions hostile fuzz kill-test \
  bench account suites compare-builds release runtime install install-runtime stress debian12 debian13 clean

help:
	@echo 'make demo      install what is missing, build, and show staticcall at work on a small program'
	@echo 'make test      install what is missing, build, and run all tests'
	@echo 'make lint      check the format of the sources and the rules of the tree'
	@echo 'make format    format the sources'
	@echo 'make build     a debug build'
	@echo 'make release   a static executable: $(STATICCALL_RELEASE)'
	@echo 'make install   install that executable and the runtime (PREFIX=$(PREFIX), DESTDIR=$(DESTDIR))'
	@echo 'make install-runtime  only the runtime: static_call.h, libstaticcall.a, and what pkg-config and CMake need'
	@echo 'make runtime   the library for programs in user space, with $$CC: $(RUNTIME_BUILD)/libstaticcall.a'
	@echo 'make parity    compare the tables with those of every module of the Debian kernel'
	@echo 'make equality  what annotate leaves as it was, in the modules of the kernel and the members of system libraries'
	@echo 'make coverage  what becomes of calls under some 280 sets of flags, against the recorded table'
	@echo 'make equivalence  the same, and run each program before and after'
	@echo 'make random    random programs, run before and after'
	@echo 'make account   each reference to a trampoline ends in one place: modules, system libraries, sqlite; and no call is silent'
	@echo 'make suites    lua, sqlite and zlib run their own tests before and after; LUA_TESTS=DIR for those of lua'
	@echo 'make compare-builds A=PATH B=PATH  what two builds write and say, over modules and system libraries'
	@echo 'make mutants   single faults in sound tables, each of which verify must report'
	@echo 'make instructions  compare the decoder with others and with execution; needs PyPI'
	@echo 'make images    each form of a call, linked by every linker into every kind of image, and what verify says'
	@echo 'make kill-test  kill, interrupt and hinder runs at every step, and look at what is left'
	@echo 'make stress    threads that call while others update, with all linkers and for both machines'
	@echo 'make hostile   files that are made to crash, hang, flood or fool the tool'
	@echo 'make fuzz      coverage-guided fuzzing, FUZZ_SECONDS=$(FUZZ_SECONDS) for each of the fuzzers; work in FUZZ_WORK=$(FUZZ_WORK)'
	@echo 'make bench     time against cp and objtool, count instructions, and measure what a call costs; VMLINUX=PATH of a vmlinux.o'
	@echo 'make deps      install the Debian packages that are missing'
	@echo 'make debian13  `make demo` and `make test`, or COMMAND, in a bare Debian 13; make debian12 in a bare Debian 12 (as root, with debootstrap)'
	@echo 'make clean     remove everything that was built'

deps:
	@Scripts/deps build test

build:
	@Scripts/deps build
	swift build

demo: build
	@Scripts/demo $(STATICCALL_DEBUG)

test: deps
	swift build --build-tests
	swift test --skip-build --disable-xctest
	/usr/bin/python3 Scripts/hostile.py --staticcall $(STATICCALL_DEBUG) --sample 40 --seconds 10
	@Scripts/kernel-parity $(STATICCALL_DEBUG) $(KERNEL) --sample 40
	/usr/bin/python3 Scripts/equality.py --staticcall $(STATICCALL_DEBUG) --sample 120 --tools-every 4 $(LIBRARIES)
	/usr/bin/python3 Scripts/coverage.py --staticcall $(STATICCALL_DEBUG) --sample 10 --levels=-O0,-O2,-Os --run
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_DEBUG) --first-seed 1 --count 24
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_DEBUG) --first-seed 1 --count 12 --target aarch64
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_DEBUG) --first-seed 1 --count 8 --through-keys
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_DEBUG) --first-seed 1 --count 4 --through-keys --target aarch64
	/usr/bin/python3 Scripts/mutants.py --staticcall $(STATICCALL_DEBUG) --first-seed 1 --count 120
	/usr/bin/python3 Scripts/image-matrix.py --staticcall $(STATICCALL_DEBUG) --sample 40
	/usr/bin/python3 Scripts/kill-test.py --staticcall $(STATICCALL_DEBUG) --sample --kills 20
	/usr/bin/python3 Scripts/instructions.py --decoder .build/debug/decode-instructions --work .build/instructions --sample $(CODE)

lint:
	@Scripts/deps build
	swift format lint --strict --recursive --parallel Package.swift Sources Tests Fuzzing
	swift test --disable-xctest --filter TidyTests

format:
	swift format --in-place --recursive --parallel Package.swift Sources Tests Fuzzing

# Functions in sections of their own: the linker leaves out those that nothing uses, and a start reads fewer pages.
release:
	@Scripts/deps build
	swift build -c release --product staticcall --scratch-path .build/static \
	  -Xswiftc -static-executable -Xswiftc -use-ld=lld -Xlinker --strip-all \
	  -Xswiftc -Xfrontend -Xswiftc -function-sections \
	  -Xswiftc -Xfrontend -Xswiftc -disable-concrete-type-metadata-mangled-name-accessors

# The library is marked as fit for shadow stacks and landing pads, so that the programs it is linked into can be.
RUNTIME_CFLAGS = -std=gnu11 -O2 -Wall -Wextra -fPIC -fvisibility=hidden -ffunction-sections \
  $(if $(findstring aarch64,$(shell $(CC) -dumpmachine)),-mbranch-protection=standard,-fcf-protection)
RUNTIME_OBJECTS = $(patsubst $(RUNTIME)/%.c,$(RUNTIME_BUILD)/%.o,$(wildcard $(RUNTIME)/*.c))

# What the objects were compiled with: another compiler makes them anew.
$(RUNTIME_BUILD)/compiler: FORCE
	@mkdir -p $(RUNTIME_BUILD)
	@echo '$(CC) $(RUNTIME_CFLAGS) $(CFLAGS)' | cmp -s - $@ || echo '$(CC) $(RUNTIME_CFLAGS) $(CFLAGS)' >$@

FORCE:

$(RUNTIME_BUILD)/%.o: $(RUNTIME)/%.c $(wildcard $(RUNTIME)/*.h $(RUNTIME)/include/*.h) $(RUNTIME_BUILD)/compiler
	$(CC) $(RUNTIME_CFLAGS) $(CFLAGS) -c $< -o $@

$(RUNTIME_BUILD)/libstaticcall.a: $(RUNTIME_OBJECTS)
	rm -f $@
	$(AR) rcs $@ $^

runtime: $(RUNTIME_BUILD)/libstaticcall.a

install: release install-runtime
	install -D -m 755 $(STATICCALL_RELEASE) $(DESTDIR)$(PREFIX)/bin/staticcall

install-runtime: runtime
	install -D -m 644 $(RUNTIME)/include/static_call.h $(DESTDIR)$(PREFIX)/include/static_call.h
	install -D -m 644 $(RUNTIME_BUILD)/libstaticcall.a $(DESTDIR)$(PREFIX)/lib/libstaticcall.a
	install -d $(DESTDIR)$(PREFIX)/lib/pkgconfig $(DESTDIR)$(PREFIX)/lib/cmake/StaticCall
	sed 's|@PREFIX@|$(PREFIX)|' $(RUNTIME)/install/staticcall.pc.in >$(DESTDIR)$(PREFIX)/lib/pkgconfig/staticcall.pc
	install -m 644 $(RUNTIME)/install/*.cmake $(DESTDIR)$(PREFIX)/lib/cmake/StaticCall/

parity: deps release
	@Scripts/kernel-parity $(STATICCALL_RELEASE) $(KERNEL)

# The archives that come with the compilers of both machines.
LIBRARIES = $(foreach gcc,gcc aarch64-linux-gnu-gcc,$(foreach library,c stdc++ gcc,$(shell $(gcc) -print-file-name=lib$(library).a)))

equality: deps release
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && \
	  /usr/bin/python3 Scripts/equality.py --staticcall $(STATICCALL_RELEASE) --tools-every 4 "$$modules" $(LIBRARIES)

coverage: deps release
	/usr/bin/python3 Scripts/coverage.py --staticcall $(STATICCALL_RELEASE)

equivalence: deps release
	/usr/bin/python3 Scripts/coverage.py --staticcall $(STATICCALL_RELEASE) --run

random: deps release
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_RELEASE) --count 2000
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_RELEASE) --count 500 --target aarch64
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_RELEASE) --count 200 --through-keys
	/usr/bin/python3 Scripts/random-programs.py --staticcall $(STATICCALL_RELEASE) --count 100 --through-keys --target aarch64

SOURCES = .build/sources
LUA_TESTS ?= $(SOURCES)/lua-tests

account: deps release
	@Scripts/deps campaign
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && \
	  /usr/bin/python3 Scripts/account.py --staticcall $(STATICCALL_RELEASE) --sources $(SOURCES) --modules "$$modules"

suites: deps release
	@Scripts/deps campaign
	/usr/bin/python3 Scripts/suites.py --staticcall $(STATICCALL_RELEASE) --sources $(SOURCES) --lua-tests $(LUA_TESTS)

compare-builds: deps
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && \
	  /usr/bin/python3 Scripts/compare-builds.py $(A) $(B) "$$modules" $(LIBRARIES)
	/usr/bin/python3 Scripts/compare-builds.py --prefix _ $(A) $(B) $(LIBRARIES)

mutants: deps release
	/usr/bin/python3 Scripts/mutants.py --staticcall $(STATICCALL_RELEASE) --count 1200

# Large binaries of both machines, with vector code of all kinds among them; what is not installed is left out, aloud.
CODE = $(addprefix /usr/lib/x86_64-linux-gnu/,libmvec.so.1 libm.so.6 libc.so.6 libcrypto.so.3 libdav1d.so.6) \
  $(addprefix /usr/aarch64-linux-gnu/lib/,libc.so.6 libm.so.6 libstdc++.so.6 libgcc_s.so.1 libgomp.so.1)

instructions: deps
	swift build -c release --product decode-instructions
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && /usr/bin/python3 Scripts/instructions.py \
	  --decoder .build/release/decode-instructions --work .build/instructions $(CODE) "$$modules"

images: deps release
	/usr/bin/python3 Scripts/image-matrix.py --staticcall $(STATICCALL_RELEASE)

kill-test: deps release
	/usr/bin/python3 Scripts/kill-test.py --staticcall $(STATICCALL_RELEASE)

hostile: deps release
	/usr/bin/python3 Scripts/hostile.py --staticcall $(STATICCALL_RELEASE)

# Optimised, and with every check: a trap is a finding. clang's instrumentation for libFuzzer in all Swift modules; the C libraries have none.
fuzz: deps build
	swift build --package-path Fuzzing --scratch-path .build/fuzzing -c release --sanitize address \
	  -Xswiftc -sanitize-coverage=edge,indirect-calls,trace-cmp,inline-8bit-counters,pc-table -Xswiftc -use-ld=lld \
	  -Xlinker $(FUZZER) -Xlinker -lstdc++
	/usr/bin/python3 Scripts/fuzz.py --fuzzers .build/fuzzing/release --staticcall $(STATICCALL_DEBUG) \
	  --work $(FUZZ_WORK) --seconds $(FUZZ_SECONDS)

bench: deps release
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && \
	  /usr/bin/python3 Scripts/bench.py --staticcall $(STATICCALL_RELEASE) "$$modules"
	@Scripts/deps campaign
	@modules=$$(Scripts/kernel-modules $(KERNEL)) && \
	  /usr/bin/python3 Scripts/rewriting-cost.py --staticcall $(STATICCALL_RELEASE) --sources $(SOURCES) \
	  $(if $(VMLINUX),--vmlinux $(VMLINUX)) "$$modules"
	@/usr/bin/python3 Scripts/call-cost.py --staticcall $(STATICCALL_RELEASE)
	@/usr/bin/python3 Scripts/runtime-cost.py --staticcall $(STATICCALL_RELEASE)

stress: deps release
	/usr/bin/python3 Scripts/runtime-stress.py --staticcall $(STATICCALL_RELEASE)

debian12:
	@Scripts/in-debian bookworm $(COMMAND)

debian13:
	@Scripts/in-debian trixie $(COMMAND)

clean:
	rm -rf .build
