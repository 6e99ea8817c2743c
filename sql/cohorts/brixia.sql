-- question: how severe a pneumonia is, as a reader's Brixia score of each image
-- one row: one image with a score of the reader; a patient may have several
-- note: link the readers' table first:
-- `xray-mining link TABLE --mapping pipelines/mappings/brixia.yaml`
-- parameter: $score text = 'brixia_senior'  name of the finding that holds the score, 0 to 18
-- target: severity ordinal levels='0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18'
-- made of: findings
-- example: xray-mining cohort brixia --param score=brixia_junior
with
-- step: files that are there, one of each exposure
present as (
    select image_key, patient_source, view_position
    from eligible
),

-- step: with a patient id
identified as (
    select image_key, view_position
    from present
    where patient_source != 'none'
),

-- step: frontal, or of unknown view
not_lateral as (
    select image_key
    from identified
    where
        (view_position is null or view_position in ('PA', 'AP'))
        and if(
            (select count(*) from image_findings) = 0
            or (
                select count(*) from image_findings
                where name = $score
            ) > 0,
            true,
            error(
                'score: ''' || $score || ''' is no finding of the images; known are '
                || (select string_agg(distinct name, ', ' order by name) from image_findings)
            )
        )
),

-- step: with one score; images with different scores are left out
scored as (
    select
        not_lateral.image_key,
        if(
            min(image_findings.value) = round(min(image_findings.value)),
            min(image_findings.value)::integer::varchar,
            error(
                'score: ' || min(image_findings.value)::varchar
                || ' is not a whole number, so it is not one of the levels'
            )
        ) as severity
    from not_lateral
    inner join image_findings on not_lateral.image_key = image_findings.image_key
    where image_findings.name = $score and image_findings.value is not null
    group by not_lateral.image_key
    having min(image_findings.value) = max(image_findings.value)
)

select image_key, severity
from scored
