-- question: what did the models say of the images that each rotation tested
-- one row: one experiment's prediction for one unchanged, tested unit; all_predictions has all
-- example: select experiment, avg(abs(value - truth)) as mae from predictions group by all
create or replace view predictions as
select *
from all_predictions
where split = 'test' and variant = '';
