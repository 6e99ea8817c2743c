-- question: which predictions are scored
-- one row: one prediction for one tested unit, from its unchanged picture; all_predictions
-- also has those for validation units and changed pictures
-- example: select avg(abs(value - truth)) from predictions where experiment = 'age_ridge'
create or replace view predictions as
select *
from all_predictions
where split = 'test' and variant = '';
