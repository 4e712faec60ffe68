/* SPDX-License-Identifier: MIT */
#include "cmocka_api.h"
#include "failing.h"
#include "random.h"

#include "ipcfs/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_text(const struct text *text, const char *expected)
{
    assert_int_equal(text_error(text), 0);
    assert_int_equal(text->length, strlen(expected));
    assert_memory_equal(text->data ? text->data : "", expected, text->length);
}

/* ---- appending ---- */

static void test_appends(void **state)
{
    (void)state;
    AUTO_TEXT text = {0};
    assert_text(&text, "");
    text_bytes(&text, "", 0);
    assert_null(text.data);
    text_string(&text, "one ");
    text_bytes(&text, "two, not this", 3);
    text_printf(&text, " %d %s", 3, "four");
    text_printf(&text, "%s", "");
    assert_text(&text, "one two 3 four");
    text_bytes(&text, "\0x", 2);
    assert_int_equal(text.length, 16);
    assert_memory_equal(text.data, "one two 3 four\0x", 16);
}

/* As printf(3) writes them. */
static void test_numbers(void **state)
{
    (void)state;
    const uint64_t numbers[] = {
        0, 1, 9, 10, 99, 100, 123456789, 999999999, UINT32_MAX, UINT64_MAX / 10, UINT64_MAX};
    for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
        for (unsigned digits = 0; digits <= 20; digits++) {
            char expected[32];
            AUTO_TEXT text = {0};
            (void)snprintf(expected, sizeof expected, "%0*" PRIu64, (int)digits, numbers[i]);
            text_number(&text, numbers[i], digits);
            assert_text(&text, expected);
        }
    }
}

static void test_spaces(void **state)
{
    (void)state;
    for (size_t count = 0; count < 300; count++) {
        char expected[300] = "";
        AUTO_TEXT text = {0};
        memset(expected, ' ', count);
        text_spaces(&text, count);
        assert_text(&text, expected);
    }
}

/* Around every size at which the room grows. */
static void test_grows(void **state)
{
    (void)state;
    char bytes[1100];
    memset(bytes, 'x', sizeof bytes);
    for (size_t first = 250; first < 260; first++) {
        for (size_t second = 0; second < 800; second += 7) {
            AUTO_TEXT text = {0};
            text_bytes(&text, bytes, first);
            text_printf(&text, "%.*s|", (int)second, bytes);
            assert_int_equal(text.length, first + second + 1);
            assert_int_equal(text.data[text.length - 1], '|');
            assert_true(text.room >= text.length);
        }
    }
}

static void test_reset(void **state)
{
    (void)state;
    long before = failing_live();
    struct text text = {0};
    text_string(&text, "something");
    text_reset(&text);
    assert_text(&text, "");
    assert_null(text.data);
    text_string(&text, "again");
    assert_text(&text, "again");
    text_reset(&text);
    text_reset(&text);
    assert_int_equal(failing_live(), before);
}

/* ---- out of memory ---- */

static void append_much(struct text *text)
{
    for (int i = 0; i < 200; i++) {
        text_string(text, "0123456789");
        text_printf(text, "%d", i);
        text_escape_word(text, "a b\xFF");
    }
}

static void test_out_of_memory(void **state)
{
    (void)state;
    long before = failing_live();
    unsigned failures = 0;
    for (unsigned number = 1;; number++) {
        struct text text = {0};
        failing_arm(number);
        append_much(&text);
        bool failed = failing_disarm();
        assert_int_equal(text_error(&text), failed ? -ENOMEM : 0);
        failures += failed;
        size_t length = text.length;
        append_much(&text);
        if (failed)
            assert_int_equal(text.length, length); /* what follows a lost part is not appended */
        text_reset(&text);
        assert_int_equal(text_error(&text), 0);
        assert_int_equal(failing_live(), before);
        if (!failed)
            break;
    }
    assert_true(failures >= 4);
}

/* ---- UTF-8 ---- */

static bool within(unsigned char byte, unsigned low, unsigned high)
{
    return byte >= low && byte <= high;
}

/* The grammar of RFC 3629, section 4. */
static size_t expected_sequence(const unsigned char *b)
{
    if (within(b[0], 0x01, 0x7F))
        return 1;
    if (within(b[0], 0xC2, 0xDF))
        return within(b[1], 0x80, 0xBF) ? 2 : 0;
    bool second = within(b[1],
                         b[0] == 0xE0   ? 0xA0
                         : b[0] == 0xF0 ? 0x90
                                        : 0x80,
                         b[0] == 0xED   ? 0x9F
                         : b[0] == 0xF4 ? 0x8F
                                        : 0xBF);
    bool third = second && within(b[2], 0x80, 0xBF);
    if (within(b[0], 0xE0, 0xEF))
        return third ? 3 : 0;
    return within(b[0], 0xF0, 0xF4) && third && within(b[3], 0x80, 0xBF) ? 4 : 0;
}

static void test_utf8_all_beginnings(void **state)
{
    (void)state;
    static const unsigned char tails[] = {0x00, 0x01, 0x7F, 0x80, 0x8F, 0xBF, 0xC0, 0xFF};
    for (unsigned beginning = 0; beginning < 0x10000; beginning++) {
        for (unsigned tail = 0; tail < sizeof tails * sizeof tails; tail++) {
            unsigned char bytes[] = {beginning >> 8, beginning & 0xFF, tails[tail % sizeof tails],
                                     tails[tail / sizeof tails], 0};
            if (utf8_sequence((const char *)bytes) != expected_sequence(bytes))
                fail_msg("%02x %02x %02x %02x: %zu instead of %zu", bytes[0], bytes[1], bytes[2], bytes[3],
                         utf8_sequence((const char *)bytes), expected_sequence(bytes));
        }
    }
}

/* Nothing behind the terminator is looked at: the arrays are as short as can be, which AddressSanitizer watches. */
static void test_utf8_broken_off(void **state)
{
    (void)state;
    static const char *const words[] = {"", "\xC3", "\xE2", "\xE2\x82", "\xF0", "\xF0\x9F", "\xF0\x9F\x92"};
    for (size_t i = 0; i < ARRAY_LENGTH(words); i++) {
        char *word = strdup(words[i]);
        assert_non_null(word);
        assert_int_equal(utf8_sequence(word), 0);
        free(word);
    }
}

/* ---- escapes ---- */

static const struct {
    const char *name;
    const char *word;
    const char *line;
} escapes[] = {
    {"plain", "plain", "plain"},
    {"", "", ""},
    {"a b", "a\\040b", "a b"},
    {" ", "\\040", " "},
    {"tab\tnl\n", "tab\\011nl\\012", "tab\\011nl\\012"},
    {"back\\slash", "back\\134slash", "back\\134slash"},
    {"\\040", "\\134040", "\\134040"},
    {"\001\033\177", "\\001\\033\\177", "\\001\\033\\177"},
    {"!~", "!~", "!~"},
    {"gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F", "gr\xC3\xBC\xC3\x9F"},
    {"\xE2\x82\xAC\xF0\x9F\x92\xA9", "\xE2\x82\xAC\xF0\x9F\x92\xA9", "\xE2\x82\xAC\xF0\x9F\x92\xA9"},
    {"\xFF\xFE", "\\377\\376", "\\377\\376"},
    {"\xC3", "\\303", "\\303"},
    {"\xC3x", "\\303x", "\\303x"},
    {"\xE2\x82", "\\342\\202", "\\342\\202"},
    {"\xC0\xAF", "\\300\\257", "\\300\\257"},                             /* a '/' in too many bytes */
    {"\xED\xA0\x80", "\\355\\240\\200", "\\355\\240\\200"},               /* a surrogate */
    {"\xF4\x90\x80\x80", "\\364\\220\\200\\200", "\\364\\220\\200\\200"}, /* past U+10FFFF */
    {"\x80\xC3\xA4\x80", "\\200\xC3\xA4\\200", "\\200\xC3\xA4\\200"},
    {"\xC2\x9B"
     "31m",
     "\\302\\23331m", "\\302\\23331m"}, /* what ESC [ is to a terminal */
    {"\xC2\x80\xC2\x9F\xC2\xA0", "\\302\\200\\302\\237\xC2\xA0", "\\302\\200\\302\\237\xC2\xA0"},
    {"#", "#", "#"},
};

static void test_escapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LENGTH(escapes); i++) {
        AUTO_TEXT word = {0};
        AUTO_TEXT line = {0};
        text_escape_word(&word, escapes[i].name);
        text_escape_line(&line, escapes[i].name);
        assert_text(&word, escapes[i].word);
        assert_text(&line, escapes[i].line);
    }
}

static unsigned octal(const char *digits)
{
    unsigned value = 0;
    for (int i = 0; i < 3; i++) {
        assert_in_range(digits[i], '0', '7');
        value = value * 8 + (unsigned)(digits[i] - '0');
    }
    return value;
}

/* What a reader of the text does. */
static void unescape(const struct text *text, char *out)
{
    for (size_t i = 0; i < text->length; i++) {
        if (text->data[i] == '\\') {
            assert_true(i + 3 < text->length);
            *out++ = (char)octal(text->data + i + 1);
            i += 3;
        } else {
            *out++ = text->data[i];
        }
    }
    *out = '\0';
}

static void random_name(struct prng *prng, char *name, uint32_t most)
{
    static const char often[] = " \\\t\n/\x7F\xC3\xA4\xE2\x82\xAC\xF0\x9F\x92\xA9\xED\xA0";
    uint32_t length = random_below(prng, most);
    for (uint32_t i = 0; i < length; i++)
        name[i] = random_below(prng, 2) ? often[random_below(prng, sizeof often - 1)]
                                        : (char)(1 + random_below(prng, 255));
    name[length] = '\0';
}

/* Any name comes back exactly, and its text is one word (or one line) of valid UTF-8 without control bytes. */
static void test_escapes_are_reversible(void **state)
{
    (void)state;
    struct prng prng = random_start(random_seed(), 0);
    for (int round = 0; round < 20000; round++) {
        char name[64];
        char back[256];
        random_name(&prng, name, 40);
        for (int words = 0; words < 2; words++) {
            AUTO_TEXT text = {0};
            (words ? text_escape_word : text_escape_line)(&text, name);
            unescape(&text, back);
            assert_string_equal(back, name);
            AUTO_TEXT ours = {0};
            assert_int_equal(text_unescape(&ours, text.data ? text.data : "", text.length), 0);
            assert_text(&ours, name);
            text_bytes(&text, "", 1);
            for (const char *at = text.data; *at; at += utf8_sequence(at)) {
                assert_int_not_equal(utf8_sequence(at), 0);
                assert_true((unsigned char)*at >= (words ? 0x21 : 0x20) && *at != 0x7F);
                assert_false((unsigned char)at[0] == 0xC2 && (unsigned char)at[1] < 0xA0);
            }
        }
    }
}

static void test_bad_escapes(void **state)
{
    (void)state;
    static const char *const bad[] = {"\\",    "a\\",   "\\1",  "\\12",  "\\000", "\\400",
                                      "\\777", "\\018", "\\08", "\\ 40", "\\n",   "\\\\"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        AUTO_TEXT text = {0};
        assert_int_equal(text_unescape(&text, bad[i], strlen(bad[i])), -EINVAL);
    }
    AUTO_TEXT text = {0};
    assert_int_equal(text_unescape(&text, "\\1012", 3), -EINVAL); /* no further than it is long */
    assert_int_equal(text_unescape(&text, "\\1012", 5), 0);
    assert_int_equal(text_unescape(&text, "\\377", 4), 0);
    assert_text(&text, "A2\377");
    text_reset(&text);
    failing_arm(1);
    assert_int_equal(text_unescape(&text, "a", 1), 0);
    assert_true(failing_disarm());
    assert_int_equal(text_error(&text), -ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_appends),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_spaces),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_utf8_all_beginnings),
        cmocka_unit_test(test_utf8_broken_off),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_escapes_are_reversible),
        cmocka_unit_test(test_bad_escapes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
