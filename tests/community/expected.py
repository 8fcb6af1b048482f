"""The table of examples: for every extract, every dataset it becomes, every column and its kind.

`json` is JSON text in a string column; `decimal:2` a decimal with two digits after the point, `decimal` one
with as many as its values need; `number` any type that holds the numbers exactly. A dataset
`orders__line_items` is the child of `orders`. `_tenant` stands in each dataset and is left out here.
"""

Columns = dict[str, str]

SHOP_ALL_TYPES: Columns = {
    "id": "int64",
    "region": "string",
    "sm": "int64",
    "i": "int64",
    "b": "bool",
    "r": "float64",
    "d": "float64",
    "n": "decimal",  # 0.33333333333333333333 has more digits than a float
    "n38": "decimal",
    "n10": "float64",
    "m": "string",
    "c": "string",
    "vc": "string",
    "t": "string",
    "u": "string",
    "j": "json",
    "jb": "json",
    "dt": "date",
    "tm": "string",
    "tmtz": "string",
    "ts": "timestamp",
    "tstz": "timestamp",
    "iv": "string",
    "by": "string",
    "ip": "string",
    "ia": "json",
    "ta": "json",
    "md": "string",
    "nr": "string",
    "x": "string",
    "updated_at": "timestamp",
}
CSV_FILE: Columns = {"_sdc_line_number": "int64", "_sdc_path": "string", "_sdc_modified_at": "timestamp"}
S3_FILE: Columns = {
    "_sdc_source_bucket": "string",
    "_sdc_source_file": "string",
    "_sdc_source_lineno": "int64",
    "_sdc_extra": "json",
}
A_AND_B: Columns = {"a": "int64", "b": "string"}

RECORDED: dict[str, dict[str, Columns]] = {
    "meltanolabs-tap-postgres.full": {
        "shop-Weird Name": {"Id": "int64", "select": "string", "a.b": "string", "ümläut": "string"},
        "shop-all_types": SHOP_ALL_TYPES,
        "shop-empty": {"id": "int64"},
        "shop-nopk": A_AND_B,
        "shop-v": A_AND_B,
    },
    "pipelinewise-tap-mysql.full": {
        "shop-all_types": {
            "id": "decimal:0",  # maximum 18446744073709551615
            "dt": "timestamp",
            "ti": "int64",
            "dtm": "timestamp",
            "t": "string",
            "tb": "bool",
            "f": "float64",
            "mi": "int64",
            "updated_at": "timestamp",
            "ts": "timestamp",
            "d": "float64",
            "js": "string",  # the tap declares a string, and sends one
            "tm": "string",
            "en": "string",
            "c": "string",
            "bn": "string",
            "sm": "int64",
            "bi": "int64",
            "i": "int64",
            "bt": "bool",
            "n2": "decimal:2",  # multipleOf 0.01
            "vc": "string",
            "n": "decimal:10",  # multipleOf 1e-10
        },
        "shop-Weird Name": {"Id": "int64", "select": "string", "a.b": "string"},
    },
    "tap-csv-folder": {
        "Weird Name": CSV_FILE
        | {
            "Id": "string",
            "Col With Space": "string",
            "select": "string",
            "_unnamed": "string",
            "ümläut": "string",
        },
        "orders": CSV_FILE
        | dict.fromkeys(["id", "name", "amount", "created", "flag", "empty", "note"], "string"),
    },
    "tap-dbf": {
        "cust": {
            "ID": "int64",
            "NAME": "string",
            "BAL": "float64",
            "JOINED": "timestamp",  # holds plain dates
            "ACTIVE": "bool",
            "TS": "string",  # format time, holds timestamps
            "MEMO": "string",  # longer than its maxLength
            "_sdc_filepath": "string",
            "_sdc_row_index": "int64",
        }
    },
    "tap-feed": {
        "feed": dict.fromkeys(["feed_url", "feed_title", "entry_id", "entry_title", "entry_link"], "string")
        | {"entry_published": "timestamp"}
    },
    "tap-smoke-test": {
        "animals": {
            "id": "int64",
            "description": "string",
            "verified": "bool",
            "views": "int64",
            "created_at": "string",
        },
        "nested": {
            "id": "int64",
            "nested_object__id": "int64",
            "nested_object__nested_field": "string",
            "toplevel_field": "string",
        },
        "pageviews": dict.fromkeys(
            ["vistor_id", "fake_ip", "fake_user_agent", "path", "created_at"], "string"
        )
        | {"time_on_page": "float64"},
    },
}

WRITTEN: dict[str, dict[str, Columns]] = {
    "pipelinewise-tap-postgres.full": {
        "depot-parcel": {
            "id": "int64",
            "weight": "decimal:2",
            "volume": "decimal:10",
            "ratio": "decimal",  # multipleOf 1e-38 is the tap's "any": values decide
            "share": "float64",
            "height": "float64",
            "due": "timestamp",  # a date, sent as date-time
            "seen_at": "timestamp",
            "opens": "string",
            "hold_for": "json",  # {} in the schema, absent from every record
            "photo": "json",
            "extra": "json",
            "shelves": "json",
            "labels": "json",
            "moves": "json",
            "a.b": "string",
        },
        "depot-scan": {"id": "int64", "gate": "string", "updated_at": "timestamp"},
    },
    "pipelinewise-tap-postgres.log_based": {
        "depot-parcel": {
            "id": "int64",
            "weight": "number",  # 17.17 arrives as the 44 digits of its float, against the schema's 0.01
            "shelves": "json",
            "_sdc_deleted_at": "timestamp",
        }
    },
    "meltanolabs-tap-postgres.log_based": {
        "depot-parcel": {
            "id": "int64",
            "weight": "float64",
            "due": "date",
            "seen_at": "timestamp",
            "opens": "string",
            "shelves": "json",  # "{1,2}", a string where the schema says array
            "extra": "json",
            "_sdc_deleted_at": "timestamp",
            "_sdc_lsn": "int64",
        }
    },
    "meltanolabs-tap-mysql.full": {
        "depot-parcel": {
            "id": "int64",
            "built": "string",  # a YEAR, sent as integer
            "flags": "string",
            "seen_at": "timestamp",
            "due": "date",
            "colours": "string",
            "weight": "float64",
            "open": "bool",
        }
    },
    "tap-mysql.full": {
        "depot-parcel": {
            "id": "decimal:0",
            "opens": "timestamp",  # a negative TIME
            "open": "bool",
            "price": "decimal:2",
            "rate": "decimal:10",
        }
    },
    "tap-s3-csv": {
        "rates": S3_FILE
        | {
            "code": "string",
            "rate": "decimal",
            "mixed": "string",
            "active": "string",
            "valid": "string",  # a date-time, or any string
            "steps": "json",
            "nothing": "json",
            "bank__name": "string",
            "bank__since": "int64",
        }
    },
    "pipelinewise-tap-s3-csv": {"rates": S3_FILE | {"code": "string", "rate": "string"}},
    "tap-jsonl": {
        "readings": {
            "id": "int64",
            "value": "string",  # number or string
            "meta": "json",
            "read_at": "timestamp",
            "steps": "json",
            "parts": "json",
            "_sdc_last_modified": "timestamp",
            "_sdc_filename": "string",
        }
    },
    "tap-jsonfile": {
        "readings": {
            "id": "int64",
            "value": "string",
            "meta__x": "int64",
            "meta__unit": "string",
            "read_at": "string",
            "parts": "json",  # an array of objects, but the stream has no keys
            "_sdc_source_file": "string",
        }
    },
    "tap-jsonfile.bare-state": {"readings": {"id": "int64", "value": "string"}},
    "tap-spreadsheets": {
        "stock": {
            "id": "int64",
            "flag": "int64",
            "when": "string",
            "amount": "float64",
            "name_x": "string",
            "col_5": "string",
            "_sdc_last_modified": "timestamp",
            "_sdc_worksheet": "string",
        }
    },
    "tap-rest-api-msdk": {
        "things": {
            "id": "int64",
            "name": "string",
            "owner_id": "int64",
            "owner_tags": "string",
            "price": "float64",
            "late": "bool",
        }
    },
    "tap-dimdate": {
        "calendar": {
            "date_key": "int64",
            "date": "date",
            "weekday_name": "string",
            "year_week": "string",
            "quarter_of_year": "int64",
        }
    },
    "no-top-level-keys": {"badge": {"id": "int64", "level": "string"}},
    "tap-shopify": {
        "orders": {
            "id": "int64",
            "total_price": "decimal",
            "created_at": "timestamp",
            "customer__id": "int64",
            "customer__default_address__zip": "string",
            "tags": "json",
        },
        "orders__line_items": {
            "_parent_id": "int64",
            "_position": "int64",
            "id": "int64",
            "price": "decimal",
            "properties": "json",
        },
        "orders__line_items__tax_lines": {
            "_parent__parent_id": "int64",
            "_parent__position": "int64",
            "_position": "int64",
            "title": "string",
            "rate": "float64",
        },
    },
}
