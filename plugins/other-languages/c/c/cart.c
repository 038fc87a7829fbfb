/* The cart of ../../../cart-merge in C: quantities that both sides changed add up, of anything else the later write is
 * kept.
 *
 * The types are those that `wit-bindgen c --world merge` writes into merge.h from guest-sdk/wit. What comes in is freed
 * here, what goes out by the bindings: it must be from malloc, but for what is empty, which they do not free. */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "merge.h"

typedef exports_colony_plugin_merger_conflict_t conflict_t;
typedef exports_colony_plugin_merger_resolution_t resolution_t;
typedef exports_colony_plugin_merger_change_t change_t;
typedef exports_colony_plugin_merger_side_t side_t;
typedef exports_colony_plugin_merger_version_t version_t;
typedef exports_colony_plugin_merger_list_attribute_t attributes_t;

#define IS(side, KIND) ((side)->state.tag == EXPORTS_COLONY_PLUGIN_MERGER_STATE_##KIND)

static const char ITEM[] = "item:";

/* A value as one side has it. */
typedef struct {
    bool is_some;
    const uint8_t *bytes;
    size_t length;
} value_t;

static const value_t NONE = {false, NULL, 0};

/* An attribute as the three sides have it. */
typedef struct {
    bool has_base;
    value_t base, ours, theirs;
} values_t;

static bool has_name(merge_string_t name, merge_string_t wanted) {
    return name.len == wanted.len && memcmp(name.ptr, wanted.ptr, wanted.len) == 0;
}

/* The attribute of this name, or the blob if there is no name; none if the side holds something else. */
static value_t value_of(const side_t *side, const merge_string_t *name) {
    if (name == NULL && IS(side, BLOB)) {
        return (value_t){true, side->state.val.blob.ptr, side->state.val.blob.len};
    }
    if (name != NULL && IS(side, ATTRIBUTES)) {
        const attributes_t *all = &side->state.val.attributes;
        for (size_t at = 0; at < all->len; at++) {
            if (has_name(all->ptr[at].name, *name)) {
                return (value_t){true, all->ptr[at].value.ptr, all->ptr[at].value.len};
            }
        }
    }
    return NONE;
}

static values_t values_of(const conflict_t *conflict, const merge_string_t *name) {
    values_t values = {conflict->base.is_some, NONE, value_of(&conflict->ours, name), value_of(&conflict->theirs, name)};
    if (values.has_base) {
        values.base = value_of(&conflict->base.val, name);
    }
    return values;
}

/* Below zero, zero or above it as `one` is before, equal to or after `other`. */
static int order(uint64_t one, uint64_t other) {
    return (one > other) - (one < other);
}

/* The same of values; none is before all. */
static int order_of_values(value_t one, value_t other) {
    if (!one.is_some || !other.is_some) {
        return one.is_some - other.is_some;
    }
    size_t shorter = one.length < other.length ? one.length : other.length;
    int by_bytes = memcmp(one.bytes, other.bytes, shorter);
    return by_bytes != 0 ? by_bytes : order(one.length, other.length);
}

static int order_of_versions(const version_t *one, const version_t *other) {
    int by = order(one->lineage.f0, other->lineage.f0);
    by = by != 0 ? by : order(one->lineage.f1, other->lineage.f1);
    by = by != 0 ? by : order(one->reign, other->reign);
    return by != 0 ? by : order(one->seq, other->seq);
}

/* Whether ours was written later: by time, then by version, then by value, so that it is no matter which is ours. */
static bool is_ours_later(const conflict_t *conflict, const values_t *values) {
    int by = order(conflict->ours.written_at_ms, conflict->theirs.written_at_ms);
    by = by != 0 ? by : order_of_versions(&conflict->ours.version, &conflict->theirs.version);
    return (by != 0 ? by : order_of_values(values->ours, values->theirs)) >= 0;
}

/* Whether one side has no say, since both are equal or it changed nothing, and then which one has. */
static bool is_one_sided(const values_t *values, bool *is_ours) {
    *is_ours = order_of_values(values->ours, values->theirs) == 0 ||
               (values->has_base && order_of_values(values->base, values->theirs) == 0);
    return *is_ours || (values->has_base && order_of_values(values->base, values->ours) == 0);
}

/* Reads a decimal number of 64 bits; none is 0. False if it is something else. */
static bool read_quantity(value_t value, uint64_t *number) {
    *number = 0;
    for (size_t at = 0; at < value.length; at++) {
        uint8_t digit = value.bytes[at] - '0';
        if (digit > 9 || *number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        *number = *number * 10 + digit;
    }
    return value.length > 0 || !value.is_some;
}

/* The base and what both sides did to it, from 0 to the largest number. No sum on the way needs more than 64 bits. */
static uint64_t add_up(uint64_t base, uint64_t ours, uint64_t theirs) {
    uint64_t more = ours > theirs ? ours : theirs, fewer = ours > theirs ? theirs : ours;
    if (more >= base) {
        uint64_t added = more - base;
        return added > UINT64_MAX - fewer ? UINT64_MAX : fewer + added;
    }
    uint64_t taken = base - more;
    return taken > fewer ? 0 : fewer - taken;
}

/* Answers with a copy of this value, or the removal of the attribute. */
static void answer_value(change_t *change, value_t value) {
    change->value.is_some = value.is_some;
    change->value.val.len = value.length;
    change->value.val.ptr = NULL;
    if (value.length > 0) {
        change->value.val.ptr = malloc(value.length);
        memcpy(change->value.val.ptr, value.bytes, value.length);
    }
}

static void answer_number(change_t *change, uint64_t number) {
    uint8_t digits[20];
    size_t begin = sizeof digits;
    do {
        digits[--begin] = '0' + number % 10;
        number /= 10;
    } while (number > 0);
    answer_value(change, (value_t){true, digits + begin, sizeof digits - begin});
}

/* What both sides did to a quantity; false if that cannot be told. */
static bool answer_quantity(change_t *change, const conflict_t *conflict, const values_t *values) {
    uint64_t base, ours, theirs;
    if (!read_quantity(values->ours, &ours) || !read_quantity(values->theirs, &theirs) ||
        !read_quantity(values->base, &base)) {
        return false;
    }
    bool is_removed = !values->ours.is_some || !values->theirs.is_some;
    if (!values->has_base) {
        /* Without a base nobody can tell what was added: the larger quantity loses no article. */
        bool is_equal = !is_removed && ours == theirs;
        bool is_ours = is_equal ? is_ours_later(conflict, values)
                                : !values->theirs.is_some || (values->ours.is_some && ours > theirs);
        answer_value(change, is_ours ? values->ours : values->theirs);
        return true;
    }
    uint64_t sum = add_up(base, ours, theirs);
    if (is_removed && sum == 0) {
        answer_value(change, NONE);
    } else {
        answer_number(change, sum);
    }
    return true;
}

static void answer_attribute(change_t *change, const conflict_t *conflict, merge_string_t name) {
    values_t values = values_of(conflict, &name);
    bool is_item = name.len >= strlen(ITEM) && memcmp(name.ptr, ITEM, strlen(ITEM)) == 0;
    bool is_ours;
    merge_string_dup_n(&change->name, (const char *)name.ptr, name.len);
    if (!is_one_sided(&values, &is_ours)) {
        if (is_item && answer_quantity(change, conflict, &values)) {
            return;
        }
        is_ours = is_ours_later(conflict, &values);
    }
    answer_value(change, is_ours ? values.ours : values.theirs);
}

static bool is_same_state(const side_t *one, const side_t *other) {
    if (one->state.tag != other->state.tag || !IS(one, ATTRIBUTES)) {
        return one->state.tag == other->state.tag && order_of_values(value_of(one, NULL), value_of(other, NULL)) == 0;
    }
    const attributes_t *ours = &one->state.val.attributes;
    bool is_same = ours->len == other->state.val.attributes.len;
    for (size_t at = 0; is_same && at < ours->len; at++) {
        value_t value = {true, ours->ptr[at].value.ptr, ours->ptr[at].value.len};
        is_same = order_of_values(value, value_of(other, &ours->ptr[at].name)) == 0;
    }
    return is_same;
}

/* A session that is a blob, at least on one side: the side that changed it, or else the later one. */
static void answer_whole(resolution_t *answer, const conflict_t *conflict) {
    values_t values = values_of(conflict, NULL);
    bool is_ours;
    if (IS(&conflict->ours, BLOB) && IS(&conflict->theirs, BLOB)) {
        if (!is_one_sided(&values, &is_ours)) {
            is_ours = is_ours_later(conflict, &values);
        }
    } else if (conflict->base.is_some && is_same_state(&conflict->base.val, &conflict->ours)) {
        is_ours = false;
    } else {
        is_ours = (conflict->base.is_some && is_same_state(&conflict->base.val, &conflict->theirs)) ||
                  is_ours_later(conflict, &values);
    }
    answer->tag = EXPORTS_COLONY_PLUGIN_MERGER_RESOLUTION_KEEP;
    answer->val.keep = is_ours ? EXPORTS_COLONY_PLUGIN_MERGER_CHOICE_OURS : EXPORTS_COLONY_PLUGIN_MERGER_CHOICE_THEIRS;
}

static void answer_attributes(resolution_t *answer, const conflict_t *conflict) {
    size_t count = conflict->conflicting.len;
    change_t *changes = count > 0 ? malloc(count * sizeof(change_t)) : NULL;
    for (size_t at = 0; at < count; at++) {
        answer_attribute(&changes[at], conflict, conflict->conflicting.ptr[at]);
    }
    answer->tag = EXPORTS_COLONY_PLUGIN_MERGER_RESOLUTION_ATTRIBUTES;
    answer->val.attributes.ptr = changes;
    answer->val.attributes.len = count;
}

/* What the host calls. A cart always answers, so it never gives an error. */
bool exports_colony_plugin_merger_merge(conflict_t *conflict, resolution_t *answer, merge_string_t *error) {
    (void)error;
    const side_t *ours = &conflict->ours, *theirs = &conflict->theirs;
    if (IS(ours, DELETED) || IS(theirs, DELETED)) {
        answer->tag = EXPORTS_COLONY_PLUGIN_MERGER_RESOLUTION_DELETE;
    } else if (IS(ours, ATTRIBUTES) && IS(theirs, ATTRIBUTES)) {
        answer_attributes(answer, conflict);
    } else {
        answer_whole(answer, conflict);
    }
    exports_colony_plugin_merger_conflict_free(conflict);
    return true;
}
