-- Prints the counters that were read.
SELECT json_build_object('object', 'sequence ' || key, 'kind', 'counter', 'low', value::bigint, 'high', value::bigint)
  FROM json_each_text(:'counters');
