# make                 memory.so, memctl and the manual
# make check           all tests; SEED=N and ROUNDS=N steer the random ones,
#                      TESTS="tests/hooks/data.t build/tests/unit/ranges.t" runs
#                      only these
# make check-asan check-tsan check-valgrind   the same, watched
# make lint bench install dist clean

VERSION = 0.1.0
LUA_PC ?= lua5.4
PREFIX ?= /usr/local

CC ?= cc
CFLAGS ?= -O2 -g
PROVE ?= prove
POD2MAN ?= pod2man
LUACHECK ?= luacheck

# Each sanitizer has its own build directory and plugin.
BUILD ?= build
SO ?= memory.so

WARNINGS = -Wall -Wextra -Wshadow -Wvla -Wconversion -Wstrict-prototypes \
	   -Wwrite-strings -Wformat=2 -Wundef
INCLUDES = -I. -Ibuild $(shell pkg-config --cflags nbdkit $(LUA_PC))
SHAREDIR = $(PREFIX)/share/nbdkit-memory-plugin
OUR_CFLAGS = -std=c11 -D_GNU_SOURCE -DVERSION='"$(VERSION)"' -fPIC -pthread \
	     -fvisibility=hidden $(WARNINGS) $(WERROR) -MMD -MP $(INCLUDES)
LIBS = -pthread -ldl -lm $(shell pkg-config --libs $(LUA_PC))

FOLDERS = lua fault disk report lib
# The plugin writes no pages.
SOURCES = $(filter-out lib/page.c,$(sort $(wildcard *.c $(FOLDERS:%=%/*.c)))) control/control.c
MEMCTL = $(filter-out control/control.c,$(sort $(wildcard control/*.c))) lib/page.c
TORTURES = $(sort $(wildcard torture/*.c))
UNIT_TESTS = $(patsubst tests/unit/%.c,%,$(sort $(wildcard tests/unit/*.c)))
TESTS ?= $(sort $(wildcard tests/*/*.t)) $(UNIT_TESTS:%=$(BUILD)/tests/unit/%.t)

MANUAL = nbdkit-memory-plugin.1 nbdkit-memory-crash.7 disktorture.1

all: $(SO) memctl disktorture $(MANUAL)

$(SO): $(SOURCES:%.c=$(BUILD)/%.o)
	$(CC) $(CFLAGS) -shared $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) -c -o $@ $<

# The style of pages as an array of strings, one a line.  (A single one would be longer
# than C promises.)  It is the same for each build.
STYLE = build/lib/page-style.h
$(STYLE): lib/page.css Makefile
	@mkdir -p $(@D)
	{ echo 'static const char *const page_style[] = {'; \
	  sed 's/\\/\\\\/g; s/"/\\"/g; s/.*/"&\\n",/' lib/page.css; echo 'NULL };'; } >$@

$(BUILD)/lib/page.o $(BUILD)/tests/unit/page.t $(BUILD)/tests/unit/report.t: $(STYLE)

# memctl is built once: watched runs use it too.
MEMCTL_LIB = lib/array.c lib/json.c lib/text.c
memctl: $(MEMCTL) $(MEMCTL_LIB) $(STYLE) $(wildcard control/*.h lib/*.h) Makefile
	$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(OUR_CFLAGS)) $(CFLAGS) $(LDFLAGS) -o $@ $(MEMCTL) $(MEMCTL_LIB) -lm

# So is disktorture, which shares memctl's connection.
DISKTORTURE = $(TORTURES) control/client.c control/object.c $(sort $(wildcard lib/*.c))
disktorture: $(DISKTORTURE) $(STYLE) $(wildcard torture/*.h control/*.h lib/*.h) Makefile
	$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(OUR_CFLAGS)) $(CFLAGS) $(LDFLAGS) -o $@ $(DISKTORTURE) -lm

# Unit tests include the source that they test, built with tiny pages.
$(BUILD)/tests/%.t: tests/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(OUR_CFLAGS) $(CFLAGS) $(LDFLAGS) -o $@ $< -pthread -lm

# The cache and the crash states with tiny pages, driven by a model in Python.
MACHINE_SOURCES = tests/crash/machine.c store.c $(sort $(wildcard disk/*.c lib/*.c))
$(BUILD)/tests/crash/machine: $(MACHINE_SOURCES) $(wildcard *.h disk/*.h lib/*.h) Makefile
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(filter-out -MMD -MP,$(OUR_CFLAGS)) $(CFLAGS) $(LDFLAGS) -DSTORE_PAGE=64 -DCHUNK_REGIONS=16 \
	    -DSLAB_NODES=8 -DROOT_SLOTS=4 -DSTRIPE_BITS=2 \
	    -o $@ $(MACHINE_SOURCES) -pthread -lm

nbdkit-memory-plugin.1: nbdkit-memory-plugin.pod
nbdkit-memory-crash.7: docs/nbdkit-memory-crash.pod
disktorture.1: docs/disktorture.pod

$(MANUAL):
	$(POD2MAN) --section=$(subst .,,$(suffix $@)) --center=NBDKIT \
	    --release=nbdkit-memory-plugin-$(VERSION) --name=$(basename $@) $< $@

export SO BUILD SEED ROUNDS CC WATCH

check: $(SO) memctl disktorture $(if $(filter tests/crash/model.t,$(TESTS)),$(BUILD)/tests/crash/machine) \
    $(filter $(BUILD)/%,$(TESTS))
	$(PROVE) --exec "" --timer $(PROVE_FLAGS) $(TESTS)

WATCHED = -O1 -g -fno-omit-frame-pointer
asan_CFLAGS = $(WATCHED) -fsanitize=address,undefined -fno-sanitize-recover=undefined
tsan_CFLAGS = $(WATCHED) -fsanitize=thread
valgrind_CFLAGS = $(WATCHED)

# A clone takes all stripes: more locks than the deadlock detector can count.
check-tsan: export TSAN_OPTIONS = detect_deadlocks=0

check-asan check-tsan check-valgrind: check-%: memctl disktorture
	$(MAKE) check WATCH=$* BUILD=build/$* SO=build/$*/memory.so CFLAGS="$($*_CFLAGS)"

bench: all
	bench/run $(BENCH)

# Warnings are errors with both compilers, each in its own build directory.
# clang-tidy gets one file at a time, because it mistakes each va_list except the
# first one.
lint: all
	awk -f tests/lib/layers.awk $(filter-out tests/% bench/% build/%,$(wildcard *.[ch] */*.[ch]))
	$(MAKE) -s compile BUILD=build/lint-gcc CC=gcc WERROR=-Werror
	$(MAKE) -s compile BUILD=build/lint-clang CC=clang WERROR=-Werror
	cppcheck -q --std=c11 --enable=warning,performance,portability \
	    --inline-suppr --error-exitcode=1 \
	    --suppress=normalCheckLevelMaxBranches $(SOURCES) $(MEMCTL) $(TORTURES)
	printf '%s\n' $(SOURCES) $(MEMCTL) $(TORTURES) | xargs -P 2 -I FILE clang-tidy --quiet FILE -- $(OUR_CFLAGS)
	shellcheck -x -P SCRIPTDIR setup .ci/run bench/run tests/lib/*.sh tests/*/*.t shell/*.sh examples/*.sh
	$(LUACHECK) -q scripts bench
	podchecker -warnings nbdkit-memory-plugin.pod docs/*.pod

compile: $(SOURCES:%.c=$(BUILD)/%.o) $(MEMCTL:%.c=$(BUILD)/%.o) $(TORTURES:%.c=$(BUILD)/%.o) $(UNIT_TESTS:%=$(BUILD)/tests/unit/%.t)

# Neither into nbdkit's plugin directory nor into section 1 of the manual: both
# have nbdkit's own memory plugin.
install: all
	install -D -m 755 memory.so "$(DESTDIR)$(PREFIX)/lib/nbdkit-memory-plugin/memory.so"
	install -D -m 755 -t "$(DESTDIR)$(PREFIX)/bin" memctl disktorture
	install -D -m 644 nbdkit-memory-plugin.1 \
	    "$(DESTDIR)$(PREFIX)/share/man/man1/nbdkit-memory-plugin.1lua"
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man7" nbdkit-memory-crash.7
	install -D -m 644 -t "$(DESTDIR)$(PREFIX)/share/man/man1" disktorture.1
	for dir in scripts scripts/lib; do \
	    install -D -m 644 -t "$(DESTDIR)$(SHAREDIR)/$$dir" $$dir/*.lua || exit; \
	done
	for file in python/*.py shell/*.sh examples/*.*; do \
	    install -D -m 644 "$$file" "$(DESTDIR)$(SHAREDIR)/$$file" || exit; \
	done
	cd "$(DESTDIR)$(SHAREDIR)/examples" && chmod +x copy.sh work.sh check.sh

dist: NAME = nbdkit-memory-plugin-$(VERSION)
dist:
	git archive --prefix=$(NAME)/ -o $(NAME).tar.gz HEAD

clean:
	rm -rf build memory.so memctl disktorture $(MANUAL)

-include $(wildcard $(BUILD)/*.d $(BUILD)/*/*.d $(BUILD)/tests/*/*.d)
.PHONY: all check check-asan check-tsan check-valgrind bench lint compile \
	install dist clean
