-- question: what did the models say of the images that each rotation tested
-- one row: one prediction of one experiment for one unchanged, tested unit; all_predictions has validation and variants
-- example: select experiment, avg(abs(value - truth)) as mae from predictions where target = 'age' group by all
create or replace view predictions as
select *
from all_predictions
where split = 'test' and variant = '';
