"""How large a value can be: the abstract values of the bound. Bytes are of UTF-8; every amount is an interval of quantities.

    Exact        the value itself, where nothing that is unknown decides it
    TextSize     bytes; the parts that it was joined of, where each ends a line
    NumberSize   the number
    ListSize     how many items, and what each is at most and at least; the bytes of all items together where they are unequal;
                 the items that it may have, where they are known
    RecordSize   field by field
    DictSize     the list of its keys, and that of its values
    MaybeSize    none, or this
    FileSize     a file's text and path;  DirSize: how many files, their bytes, the largest
    AnySize      something else, by the bytes of its JSON text

What a value weighs is told three ways: as text that is written into another (`str_bytes`), as JSON (`json_bytes`), and by its content
(`content_bytes`: its texts and scalars alone, without names, quotes and brackets), which cutting, grouping and flattening leave as it is.

A size says what may be, never what is: `[lower, upper]` holds the real one. Where nothing is known, the ends are 0 and infinite.
"""

from rlmlang.sizes.alike import file_bytes as file_bytes
from rlmlang.sizes.alike import text_bytes as text_bytes
from rlmlang.sizes.asked import length as length
from rlmlang.sizes.asked import number as number
from rlmlang.sizes.asked import points as points
from rlmlang.sizes.asked import truth as truth
from rlmlang.sizes.asked import whole_at_least_zero as whole_at_least_zero
from rlmlang.sizes.holding import holds as holds
from rlmlang.sizes.measure import ESCAPED as ESCAPED
from rlmlang.sizes.measure import FLOAT_BYTES as FLOAT_BYTES
from rlmlang.sizes.measure import FORMULA_DIGITS as FORMULA_DIGITS
from rlmlang.sizes.measure import NUMBER_BYTES as NUMBER_BYTES
from rlmlang.sizes.measure import as_dict as as_dict
from rlmlang.sizes.measure import as_list as as_list
from rlmlang.sizes.measure import content_bytes as content_bytes
from rlmlang.sizes.measure import data_bytes as data_bytes
from rlmlang.sizes.measure import hull as hull
from rlmlang.sizes.measure import hull_all as hull_all
from rlmlang.sizes.measure import json_bytes as json_bytes
from rlmlang.sizes.measure import list_of as list_of
from rlmlang.sizes.measure import list_total as list_total
from rlmlang.sizes.measure import listed as listed
from rlmlang.sizes.measure import longest_number as longest_number
from rlmlang.sizes.measure import measure as measure
from rlmlang.sizes.measure import measured_list as measured_list
from rlmlang.sizes.measure import measured_parts as measured_parts
from rlmlang.sizes.measure import one_of as one_of
from rlmlang.sizes.measure import str_bytes as str_bytes
from rlmlang.sizes.measure import str_total as str_total
from rlmlang.sizes.measure import unfold as unfold
from rlmlang.sizes.shapes import ANY as ANY
from rlmlang.sizes.shapes import ONE as ONE
from rlmlang.sizes.shapes import PERHAPS as PERHAPS
from rlmlang.sizes.shapes import ZERO as ZERO
from rlmlang.sizes.shapes import AnySize as AnySize
from rlmlang.sizes.shapes import BoolSize as BoolSize
from rlmlang.sizes.shapes import DictSize as DictSize
from rlmlang.sizes.shapes import DirSize as DirSize
from rlmlang.sizes.shapes import Exact as Exact
from rlmlang.sizes.shapes import FileSize as FileSize
from rlmlang.sizes.shapes import FunctionSize as FunctionSize
from rlmlang.sizes.shapes import Interval as Interval
from rlmlang.sizes.shapes import Known as Known
from rlmlang.sizes.shapes import Lines as Lines
from rlmlang.sizes.shapes import ListSize as ListSize
from rlmlang.sizes.shapes import MaybeSize as MaybeSize
from rlmlang.sizes.shapes import NoneSize as NoneSize
from rlmlang.sizes.shapes import NumberSize as NumberSize
from rlmlang.sizes.shapes import RecordSize as RecordSize
from rlmlang.sizes.shapes import Size as Size
from rlmlang.sizes.shapes import TextSize as TextSize
from rlmlang.sizes.shapes import TupleSize as TupleSize
from rlmlang.sizes.shapes import total_of as total_of
from rlmlang.sizes.typed import of_type as of_type
from rlmlang.sizes.typed import rewritten as rewritten
