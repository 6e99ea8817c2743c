-- question: which eligible images are frontal
-- one row: one eligible image that was declared, or inferred from its header, to be PA or AP
-- example: select view_position, count(*) from frontal group by all
create or replace view frontal as
select *
from eligible
where view_position in ('PA', 'AP');
