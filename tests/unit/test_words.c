/* SPDX-License-Identifier: MIT */
/* Small parsers of words: log levels and the passthrough mode; and which lines the log lets through. */
#include "cmocka_api.h"

#include "ipcfs/log.h"
#include "passthrough.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void test_passthrough_modes(void **state)
{
    (void)state;
    enum passthrough_mode mode = PASSTHROUGH_ON;
    assert_int_equal(passthrough_parse_mode("auto", &mode), 0);
    assert_int_equal(mode, PASSTHROUGH_AUTO);
    assert_int_equal(passthrough_parse_mode("on", &mode), 0);
    assert_int_equal(mode, PASSTHROUGH_ON);
    assert_int_equal(passthrough_parse_mode("off", &mode), 0);
    assert_int_equal(mode, PASSTHROUGH_OFF);
    static const char *const wrong[] = {"",    "o",  "On",   "ON",        "onn", " on",
                                        "on ", "of", "offf", "automatic", "1",   "yes"};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(passthrough_parse_mode(wrong[i], &mode), -EINVAL);
        assert_int_equal(mode, PASSTHROUGH_OFF); /* left alone */
    }
}

static void test_log_levels(void **state)
{
    (void)state;
    enum log_level level = LOG_LEVEL_INFO;
    assert_int_equal(log_parse_level("error", &level), 0);
    assert_int_equal(level, LOG_LEVEL_ERROR);
    assert_int_equal(log_parse_level("warning", &level), 0);
    assert_int_equal(level, LOG_LEVEL_WARNING);
    assert_int_equal(log_parse_level("info", &level), 0);
    assert_int_equal(level, LOG_LEVEL_INFO);
    assert_int_equal(log_parse_level("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    static const char *const wrong[] = {"",       "err", "errors", "Error", "warn",
                                        "notice", "7",   " info",  "info "};
    for (size_t i = 0; i < ARRAY_LENGTH(wrong); i++) {
        assert_int_equal(log_parse_level(wrong[i], &level), -EINVAL);
        assert_int_equal(level, LOG_LEVEL_DEBUG);
    }
}

/* What `speak` writes to stderr, into `out`. */
static void captured(void (*speak)(void), char *out, size_t room)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    (void)fflush(stderr);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
    speak();
    (void)fflush(stderr);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    rewind(file);
    out[fread(out, 1, room - 1, file)] = '\0';
    (void)fclose(file);
}

static void speak_at_all_levels(void)
{
    errno = EDOM;
    log_error("an %s", "error");
    log_warning("a %s", "warning");
    log_info("some %s", "info");
    log_debug("a %s", "detail");
    if (errno != EDOM)
        log_error("errno was lost");
}

static void test_level_chooses_lines(void **state)
{
    (void)state;
    static const struct {
        enum log_level level;
        const char *lines;
    } cases[] = {
        {LOG_LEVEL_ERROR, "ipcfs: an error\n"},
        {LOG_LEVEL_WARNING, "ipcfs: an error\nipcfs: a warning\n"},
        {LOG_LEVEL_INFO, "ipcfs: an error\nipcfs: a warning\nipcfs: some info\n"},
        {LOG_LEVEL_DEBUG, "ipcfs: an error\nipcfs: a warning\nipcfs: some info\nipcfs: a detail\n"},
    };
    char out[512];
    for (size_t i = 0; i < ARRAY_LENGTH(cases); i++) {
        log_set_level(cases[i].level);
        captured(speak_at_all_levels, out, sizeof out);
        assert_string_equal(out, cases[i].lines);
    }
}

static void speak_long(void)
{
    char word[5000];
    memset(word, 'w', sizeof word);
    word[sizeof word - 1] = '\0';
    log_error("%s", word);
}

static void test_long_line(void **state)
{
    (void)state;
    char out[8192];
    log_set_level(LOG_LEVEL_ERROR);
    captured(speak_long, out, sizeof out);
    size_t length = strlen(out);
    assert_true(length > 500 && length < 6000);
    assert_ptr_equal(strchr(out, '\n'), out + length - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passthrough_modes),
        cmocka_unit_test(test_log_levels),
        cmocka_unit_test(test_level_chooses_lines),
        cmocka_unit_test(test_long_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
